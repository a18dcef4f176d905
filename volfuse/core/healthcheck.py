"""The HEALTHCHECK instruction of a Dockerfile. volfuse stores and shows health checks, as Docker's API does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from volfuse.errors import InvalidSpec

__all__ = ["parse_healthcheck"]

_FLAG = re.compile(r"--([a-z-]+)=(\S*)\s*")
_DURATIONS = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}
_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SHORTEST_NS = 10**6


def parse_healthcheck(text: str, json_strings: Callable[[str], list[str] | None]) -> dict[str, Any]:
    """Return Docker's `HealthConfig` for the text behind HEALTHCHECK.

    Args:
        json_strings: parses the exec form, None for the shell form.

    Raises:
        InvalidSpec: an unknown flag or type, no command, a bad duration.
    """
    flags: dict[str, str] = {}
    while found := _FLAG.match(text):
        flags[found[1]] = found[2]
        text = text[found.end() :]
    if not text:
        raise InvalidSpec("HEALTHCHECK requires at least one argument")
    kind, _, command = text.partition(" ")
    command = command.strip()
    match kind.upper():
        case "NONE":
            if command:
                raise InvalidSpec("HEALTHCHECK NONE takes no arguments")
            return {"Test": ["NONE"]}
        case "CMD":
            return {"Test": _test(command, json_strings), **_settings(flags)}
    raise InvalidSpec(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')


def _test(command: str, json_strings: Callable[[str], list[str] | None]) -> list[str]:
    listed = json_strings(command)
    if not command or listed == []:
        raise InvalidSpec("Missing command after HEALTHCHECK CMD")
    return ["CMD-SHELL", command] if listed is None else ["CMD", *listed]


def _settings(flags: dict[str, str]) -> dict[str, int]:
    settings: dict[str, int] = {}
    for flag, value in flags.items():
        if flag in _DURATIONS:
            settings[_DURATIONS[flag]] = _duration_ns(flag, value)
        elif flag == "retries":
            settings["Retries"] = _retries(value)
        else:
            raise InvalidSpec(f"unknown flag: --{flag}")
    return {name: value for name, value in settings.items() if value}


def _retries(text: str) -> int:
    try:
        retries = int(text)
    except ValueError as exc:
        raise InvalidSpec(f'strconv.ParseInt: parsing "{text}": invalid syntax') from exc
    if retries < 0:
        raise InvalidSpec(f"--retries cannot be negative ({retries})")
    return retries


def _duration_ns(flag: str, text: str) -> int:
    """Parse a duration as Go writes it: `1m30s`, `500ms`, `0`."""
    if text in ("", "0"):
        return 0
    parts = _DURATION_PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise InvalidSpec(f'time: invalid duration "{text}"')
    total = sum(round(float(number) * _UNITS_NS[unit]) for number, unit in parts)
    if 0 < total < _SHORTEST_NS:
        raise InvalidSpec(f'Interval "{flag}" cannot be less than 1ms')
    return total
