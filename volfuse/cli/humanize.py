"""Sizes, durations and times as Docker prints them (docker/go-units, Go's time formats)."""

from __future__ import annotations

import re
import time

__all__ = ["ago", "duration", "ellipsis", "local_time", "natural_key", "rfc3339", "short_id", "size"]

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_ID_LENGTH = 12


def size(number_bytes: float, precision: int = 4, *, binary: bool = False) -> str:
    """Write a size with decimal units, or binary ones."""
    base, units = (1024.0, _BINARY) if binary else (1000.0, _DECIMAL)
    value, unit = float(number_bytes), 0
    while value >= base and unit < len(units) - 1:
        value /= base
        unit += 1
    return f"{value:.{precision}g}{units[unit]}"


def duration(elapsed_s: float) -> str:
    """Write a time span roughly."""
    seconds, minutes, hours = int(elapsed_s), int(elapsed_s / 60), int(elapsed_s / 3600 + 0.5)
    steps = [
        (seconds < 1, "Less than a second"),
        (seconds == 1, "1 second"),
        (seconds < 60, f"{seconds} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 7 * 2, f"{hours // 24} days"),
        (hours < 24 * 30 * 2, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    ]
    return next((text for fits, text in steps if fits), f"{int(elapsed_s / 3600) // 24 // 365} years")


def ago(created_s: float) -> str:
    """Write how long ago something was."""
    return f"{duration(time.time() - created_s)} ago"


def local_time(at_s: float) -> str:
    """Write a time as Go's `Time.String()` does in the local zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(at_s))


def rfc3339(at_s: int, nanoseconds: int | None = None) -> str:
    """Write a time by RFC 3339 in the local zone, with nine digits of a fraction if wanted."""
    there = time.localtime(at_s)
    offset = time.strftime("%z", there)
    zone = "Z" if there.tm_gmtoff == 0 else f"{offset[:3]}:{offset[3:]}"
    fraction = "" if nanoseconds is None else f".{nanoseconds:09d}"
    return time.strftime("%Y-%m-%dT%H:%M:%S", there) + fraction + zone


def ellipsis(text: str, width: int) -> str:
    """Cut a text to a width, with an ellipsis in the last place."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def short_id(full: str) -> str:
    """Cut an id to the digits that listings show."""
    return full.removeprefix("sha256:")[:_ID_LENGTH]


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts numbers inside texts by value."""
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"(\d+)", text) if p]
