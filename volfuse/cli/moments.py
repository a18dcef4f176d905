"""Points in time on the command line, as the API takes them."""

from __future__ import annotations

import re
import time

from volfuse.core.timestamps import parse_duration, parse_timestamp
from volfuse.errors import InvalidSpec

__all__ = ["moment"]

_NS = 1_000_000_000
_UNIX = re.compile(r"-?\d+(\.\d+)?\Z", re.ASCII)
_LOCAL_DATE = re.compile(r"\d{4}-\d\d-\d\d(T[\d:.]*)?\Z", re.ASCII)


def moment(text: str) -> str | None:
    """Write a point in time as Unix seconds; None for no text.

    Plain seconds pass as they are, a duration is so long ago, a date without a zone is in the local one.

    Raises:
        InvalidSpec: it is none of these.

    Source: moby api/types/time, GetTimestamp.
    """
    if not text or _UNIX.match(text):
        return text or None
    now_ns = time.time_ns()
    try:
        return str((now_ns - parse_duration(text)) // _NS)
    except InvalidSpec:
        at_ns = parse_timestamp(_with_zone(text), now_ns)
    return f"{at_ns // _NS}.{at_ns % _NS:09d}"


def _with_zone(text: str) -> str:
    found = _LOCAL_DATE.match(text)
    if not found:
        return text
    return f"{text}{'' if found[1] else 'T00'}{time.strftime('%z')}"
