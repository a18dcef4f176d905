"""`--filter name=value` on the command line."""

from __future__ import annotations

from collections.abc import Iterable

from volfuse.errors import InvalidSpec

__all__ = ["check_filter", "parse_filters"]


def check_filter(text: str) -> None:
    """Refuse a filter that is not `name=value`; the empty one is ignored."""
    if text and "=" not in text:
        raise InvalidSpec("bad format of filter (expected name=value)")


def parse_filters(given: Iterable[str]) -> dict[str, list[str]]:
    """Collect the values of each filter."""
    found: dict[str, list[str]] = {}
    for text in given:
        if text:
            name, _, value = text.partition("=")
            found.setdefault(name.strip().lower(), []).append(value.strip())
    return found
