"""Points in time as Docker's users write them: Unix seconds, RFC 3339, or how long ago.

Source: moby api/types/time (GetTimestamp, ParseTimestamps); Go's time.ParseDuration.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from volfuse.errors import InvalidSpec

if TYPE_CHECKING:  # commands parse durations and have no filters of the daemon's
    from volfuse.core.filters import Filters

__all__ = ["parse_duration", "parse_timestamp", "until"]

_NS = 1_000_000_000
_UNITS_NS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 1_000_000, "s": _NS, "m": 60 * _NS, "h": 3600 * _NS}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_DURATION = re.compile(rf"[+-]?(0|({_PART.pattern})+)\Z")
_UNIX = re.compile(r"(-?[0-9]+)(?:\.([0-9]{1,9}))?\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_FRACTION = re.compile(r"\.(\d+)")


def parse_duration(text: str) -> int:
    """Return nanoseconds of a Go duration such as `1h30m` or `-1.5s`.

    Raises:
        InvalidSpec: it is none.
    """
    if not _DURATION.match(text):
        raise InvalidSpec(f'time: invalid duration "{text}"')
    total = sum(int(Decimal(number) * _UNITS_NS[unit]) for number, unit in _PART.findall(text))
    return -total if text.startswith("-") else total


def parse_timestamp(text: str, now_ns: int) -> int:
    """Return nanoseconds since the epoch.

    Args:
        text: a duration back from now, Unix seconds with up to nine decimals, or a date with or without a time and
            a zone (UTC if none is given).

    Raises:
        InvalidSpec: it is none of these.
    """
    if unix := _UNIX.match(text):
        seconds, fraction = unix.groups(default="")
        return int(seconds) * _NS + int(fraction.ljust(9, "0") or 0)
    if _DURATION.match(text):
        return now_ns - parse_duration(text)
    if _DATE.match(text):
        return _parse_date(text)
    raise InvalidSpec(f'failed to parse value as time or duration: "{text}"')


def _parse_date(text: str) -> int:
    fraction = _FRACTION.search(text)
    nanoseconds = int(fraction[1][:9].ljust(9, "0")) if fraction else 0
    try:
        moment = datetime.fromisoformat(_FRACTION.sub("", text, count=1))
    except ValueError as exc:
        raise InvalidSpec(f'failed to parse value as time or duration: "{text}"') from exc
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * _NS + nanoseconds


def until(filters: Filters, now_ns: int) -> int | None:
    """Return the point in time that the filter `until` names, if it is there.

    Raises:
        InvalidSpec: more than one, or no time.
    """
    values = filters.get("until")
    if not values:
        return None
    if len(values) > 1:
        raise InvalidSpec("more than one until filter specified")
    return parse_timestamp(values[0], now_ns)
