"""How the contents of a mount's files travel between programs and the source."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["DataPath", "DataRoute"]


class DataRoute(StrEnum):
    """What reads and writes go through."""

    PASSTHROUGH = "passthrough"
    """The kernel alone, at native speed."""
    DIRECT_IO = "direct_io"
    """The daemon, each time: files that others change too."""
    PAGE_CACHE = "page cache"
    """The daemon, and the kernel keeps pages: files of one view."""


@dataclass(frozen=True, slots=True)
class DataPath:
    """A route, and why it is no better one; empty for passthrough."""

    route: DataRoute
    reason: str = ""

    @classmethod
    def through_daemon(cls, *, private: bool, reason: str) -> DataPath:
        """Return the route of a mount whose files are not passed through."""
        return cls(DataRoute.PAGE_CACHE if private else DataRoute.DIRECT_IO, reason)
