"""What a group of routes is: methods, paths below the version, and handlers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from aiohttp.typedefs import Handler

__all__ = ["Route", "RouteGroup"]


@dataclass(frozen=True, slots=True)
class Route:
    """One route; `path` is in aiohttp's notation, without the version."""

    method: str
    path: str
    handler: Handler


class RouteGroup(Protocol):
    """Handlers that belong together."""

    def routes(self) -> Iterable[Route]:
        """Return the routes, those with fixed words before those with wildcards."""
        ...
