"""Times, durations and commands as Docker words them in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from volfuse.core.model import State, Status
from volfuse.core.wire import Config

__all__ = ["command_line", "command_of", "human_duration", "rfc3339", "rfc3339_nano", "status_text", "unix_seconds"]

_NS = 1_000_000_000
_NEVER = "0001-01-01T00:00:00Z"

_HOURS: tuple[tuple[int, int, str], ...] = (
    (48, 1, "hours"),
    (24 * 7 * 2, 24, "days"),
    (24 * 30 * 2, 24 * 7, "weeks"),
    (24 * 365 * 2, 24 * 30, "months"),
)
"""Below so many hours, count in units of so many hours, called so."""


def unix_seconds(time_ns: int) -> int:
    """Return whole seconds since the epoch."""
    return time_ns // _NS


def rfc3339(time_ns: int) -> str:
    """Return a time of nanoseconds since the epoch to the second, in UTC."""
    return datetime.fromtimestamp(time_ns // _NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_nano(time_ns: int) -> str:
    """Return a time as Go's RFC3339Nano does, without trailing zeros; 0 is never."""
    if not time_ns:
        return _NEVER
    decimals = f"{time_ns % _NS:09}".rstrip("0")
    return rfc3339(time_ns).removesuffix("Z") + (f".{decimals}Z" if decimals else "Z")


def human_duration(seconds: int) -> str:
    """Return about how long, as github.com/docker/go-units HumanDuration words it."""
    minutes, hours = seconds // 60, int(seconds / 3600 + 0.5)
    match seconds, minutes:
        case (_, _) if seconds < 1:
            return "Less than a second"
        case 1, _:
            return "1 second"
        case _, 0:
            return f"{seconds} seconds"
        case _, 1:
            return "About a minute"
        case (_, _) if minutes < 60:
            return f"{minutes} minutes"
    return "About an hour" if hours == 1 else _human_hours(hours)


def _human_hours(hours: int) -> str:
    for limit, unit, name in _HOURS:
        if hours < limit:
            return f"{hours // unit} {name}"
    return f"{hours // (24 * 365)} years"


def status_text(state: State, now_ns: int) -> str:
    """Return the status column of `docker ps` (moby daemon/container/state.go)."""
    up = human_duration((now_ns - state.started_ns) // _NS)
    ended = human_duration((now_ns - state.finished_ns) // _NS)
    match state.status:
        case Status.CREATED:
            return "Created"
        case Status.RUNNING:
            return f"Up {up}"
        case Status.PAUSED:
            return f"Up {up} (Paused)"
        case Status.RESTARTING:
            return f"Restarting ({state.exit_code}) {ended} ago"
        case Status.REMOVING:
            return "Removal In Progress"
        case Status.EXITED:
            return f"Exited ({state.exit_code}) {ended} ago"
        case Status.DEAD:
            return "Dead"


def command_of(config: Config) -> tuple[str, list[str]]:
    """Return the program of a container and its arguments; an empty program where there is none."""
    words = [*(config.entrypoint or []), *(config.cmd or [])]
    return (words[0], words[1:]) if words else ("", [])


def command_line(path: str, arguments: Sequence[str]) -> str:
    """Return the command column of `docker ps`: arguments with a space in them are quoted."""
    return " ".join([path, *(f"'{a}'" if " " in a else a for a in arguments)])
