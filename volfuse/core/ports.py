"""What the rules need of the outside world: time and randomness."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Clock", "Ids"]


class Clock(Protocol):
    """The wall clock."""

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch."""
        ...


class Ids(Protocol):
    """A source of fresh identifiers."""

    def new_id(self) -> str:
        """Return 64 random lowercase hex digits, never the same twice."""
        ...
