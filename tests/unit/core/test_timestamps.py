"""Points in time, against Docker's documented forms and Python's own calendar."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from volfuse.core.filters import Filters
from volfuse.core.timestamps import parse_duration, parse_timestamp, until
from volfuse.errors import InvalidSpec

NOW = 1_700_000_000 * 10**9


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1136073600", 1136073600 * 10**9),
        ("1136073600.000000001", 1136073600 * 10**9 + 1),
        ("1136073600.5", 1136073600 * 10**9 + 500_000_000),
        ("10m", NOW - 600 * 10**9),
        ("1h30m", NOW - 5400 * 10**9),
        ("1.5s", NOW - 1_500_000_000),
        ("-10s", NOW + 10 * 10**9),
        ("2006-01-02T15:04:05.999999999Z", at(2006, 1, 2, 15, 4, 5) + 999_999_999),
        ("2006-01-02T15:04:05+07:00", at(2006, 1, 2, 8, 4, 5)),
        ("2006-01-02T15:04:05", at(2006, 1, 2, 15, 4, 5)),
        ("2006-01-02T15:04", at(2006, 1, 2, 15, 4)),
        ("2006-01-02", at(2006, 1, 2)),
    ],
)
def test_timestamps(text, expected):
    assert parse_timestamp(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "10x", "2006-13-01", "2006-01-02T25:00:00", "1.2.3"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InvalidSpec, match=r"failed to parse value as time or duration"):
        parse_timestamp(text, NOW)


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("1ns", 1), ("1µs", 1000), ("1h0.5m", 3630 * 10**9)])
def test_durations(text, expected):
    assert parse_duration(text) == expected


def test_until_takes_one_value():
    assert until(Filters({}), NOW) is None
    assert until(Filters({"until": ("1s",)}), NOW) == NOW - 10**9
    with pytest.raises(InvalidSpec, match="more than one until filter"):
        until(Filters({"until": ("1s", "2s")}), NOW)
