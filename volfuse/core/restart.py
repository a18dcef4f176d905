"""When a container is started again, and how long after.

Source: moby restartmanager/restartmanager.go: the wait doubles from 100 ms up to a minute, and begins anew after a run
of more than ten seconds.
"""

from __future__ import annotations

from volfuse.core.wire import HostConfig, RestartPolicy
from volfuse.errors import InvalidSpec

__all__ = ["check_policy", "next_wait_s", "restarts", "restarts_with_daemon"]

_FIRST_S = 0.1
_LONGEST_S = 60.0
_LONG_RUN_S = 10.0
_NAMES = frozenset({"", "no", "on-failure", "always", "unless-stopped"})


def check_policy(host_config: HostConfig) -> None:
    """Refuse a policy that Docker refuses.

    Raises:
        InvalidSpec: an unknown name, a count where none belongs, or together with `--rm`.
    """
    policy = host_config.restart_policy
    if policy.name not in _NAMES:
        raise InvalidSpec(
            f"invalid restart policy: unknown policy '{policy.name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise InvalidSpec("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if policy.maximum_retry_count < 0:
        raise InvalidSpec("invalid restart policy: maximum retry count cannot be negative")
    if host_config.auto_remove and policy.name not in ("", "no"):
        raise InvalidSpec("can't create 'AutoRemove' container with restart policy")


def restarts(policy: RestartPolicy, *, exit_code: int, count: int, stopped: bool) -> bool:
    """Tell whether a container that ended is started again.

    Args:
        count: how often it has been started again since the user started it.
        stopped: the user asked for its end.
    """
    if stopped:
        return False
    match policy.name:
        case "always" | "unless-stopped":
            return True
        case "on-failure":
            return exit_code != 0 and (policy.maximum_retry_count == 0 or count < policy.maximum_retry_count)
    return False


def restarts_with_daemon(policy: RestartPolicy, *, exit_code: int, was_running: bool, stopped: bool) -> bool:
    """Tell whether a container is started when the daemon starts.

    Args:
        was_running: it ran when the last daemon ended.
        stopped: the user had stopped it.
    """
    match policy.name:
        case "always":
            return was_running or stopped
        case "unless-stopped":
            return was_running and not stopped
        case "on-failure":
            return was_running and not stopped and exit_code != 0
    return False


def next_wait_s(last_s: float, ran_s: float) -> float:
    """Return how long to wait before the next start, from the last wait (0: none) and how long the program ran."""
    if ran_s > _LONG_RUN_S or last_s <= 0:
        return _FIRST_S
    return min(last_s * 2, _LONGEST_S)
