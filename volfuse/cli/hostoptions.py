"""Values of create's options that have a small language of their own.

Source: docker/cli opts, cli/command/container/opts.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from volfuse.cli.flags import check_integer
from volfuse.cli.jsontypes import Json
from volfuse.cli.keyvalues import pairs
from volfuse.core.timestamps import parse_duration
from volfuse.errors import InvalidSpec

__all__ = [
    "capabilities",
    "check_ulimit",
    "exposed_ports",
    "healthcheck",
    "log_config",
    "port_bindings",
    "restart_policy",
    "storage_options",
    "ulimits",
]

_ALL = "ALL"
_ULIMITS = frozenset(
    (
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    )
)


def restart_policy(text: str) -> dict[str, Json]:
    """Split `NAME[:MAXIMUM]`."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise InvalidSpec("invalid restart policy format: no policy provided before colon")
    if ":" in count:
        raise InvalidSpec("invalid restart policy format")
    if count and not count.removeprefix("-").isdigit():
        raise InvalidSpec("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def log_config(driver: str, options: Iterable[str]) -> dict[str, Json]:
    """Return `--log-driver` and `--log-opt`."""
    config = pairs(options)
    if driver == "none" and config:
        raise InvalidSpec("invalid logging opts for driver none")
    return {"Type": driver, "Config": config}


def storage_options(texts: Iterable[str]) -> dict[str, str]:
    """Split options of the storage driver, each `NAME=VALUE`."""
    if any("=" not in text for text in texts):
        raise InvalidSpec("invalid storage option")
    return pairs(texts)


def capabilities(add: Iterable[str], drop: Iterable[str]) -> tuple[list[str] | None, list[str] | None]:
    """Normalise names; `ALL` stands for all others of its list."""
    added, dropped = _capability_set(add), _capability_set(drop)
    return sorted(added) or None, sorted(dropped) or None


def _capability_set(names: Iterable[str]) -> set[str]:
    found = {name.strip().upper() for name in names}
    if _ALL in found:
        return {_ALL}
    return {name if name.startswith("CAP_") else f"CAP_{name}" for name in found}


def check_ulimit(text: str) -> None:
    """Refuse a limit that is not `TYPE=SOFT[:HARD]`."""
    _ulimit(text)


def ulimits(texts: Iterable[str]) -> list[dict[str, Json]]:
    """Return limits by name; a later one of the same type wins."""
    found = {limit["Name"]: limit for limit in map(_ulimit, texts)}
    return [found[name] for name in sorted(found)]


def _ulimit(text: str) -> dict[str, Json]:
    name, equals, values = text.partition("=")
    if not equals:
        raise InvalidSpec(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise InvalidSpec(f"invalid ulimit type: {name}")
    soft_text, _, hard_text = values.partition(":")
    for number in (soft_text, hard_text) if hard_text else (soft_text,):
        check_integer(number)
    soft, hard = int(soft_text), int(hard_text or soft_text)
    if hard >= 0 and (soft > hard or soft == -1 != hard):
        raise InvalidSpec(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return {"Name": name, "Hard": hard, "Soft": soft}


def healthcheck(command: str, times: Mapping[str, str], retries: int, *, disabled: bool) -> dict[str, Json] | None:
    """Return the health check of `--health-*`, None if none was asked for."""
    durations = {name: parse_duration(text) for name, text in times.items()}
    asked = {name: value for name, value in durations.items() if value}
    if retries:
        asked["Retries"] = retries
    if disabled:
        if command or asked:
            raise InvalidSpec("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    for name, value in asked.items():
        if value < 0:
            raise InvalidSpec(f"--health-{_dashed(name)} cannot be negative")
    if not command and not asked:
        return None
    return ({"Test": ["CMD-SHELL", command]} if command else {}) | asked


def _dashed(name: str) -> str:
    return {"StartPeriod": "start-period"}.get(name, name.lower())


def exposed_ports(expose: Iterable[str], publish: Iterable[str]) -> dict[str, dict[str, Json]]:
    """Return the set of container ports of `--expose` and `-p`, as `80/tcp`."""
    ports = [_port(text, text) for text in expose] + [_published(text)[0] for text in publish]
    return {port: {} for port in ports}


def port_bindings(publish: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Return `[IP:][HOST:]CONTAINER[/PROTOCOL]` by container port."""
    found: dict[str, list[dict[str, str]]] = {}
    for text in publish:
        port, address, host = _published(text)
        found.setdefault(port, []).append({"HostIp": address, "HostPort": host})
    return found


def _published(text: str) -> tuple[str, str, str]:
    head, _, inside = text.rpartition(":")
    address, _, host = head.rpartition(":")
    return _port(inside, text), address.strip("[]"), host


def _port(text: str, whole: str) -> str:
    number, _, protocol = text.partition("/")
    if not (number.isdigit() and 0 < int(number) < 65536):
        raise InvalidSpec(
            f"invalid containerPort: {whole}" if whole != text else f"invalid range format for --expose: {text}"
        )
    return f"{number}/{protocol or 'tcp'}"
