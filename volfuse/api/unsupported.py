"""What Docker has and volfuse has not: a sentence instead of `page not found`.

A route leaves this table when a group of routes serves it; the groups come first, so an entry here never hides one.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from volfuse.api.route import Route
from volfuse.api.versioning import without_version
from volfuse.errors import Unsupported

__all__ = ["UnsupportedRoutes"]

_WEBSOCKET = "attach by `POST /containers/C/attach`"
_REGISTRY = "volfuse has no registry: bring images in with `import` or `load`"
_BUILD = "volfuse does not build images: bring them in with `import` or `load`"
_SAVE = "volfuse does not write image archives"
_SWARM = "volfuse is not part of a swarm"
_PLUGINS = "volfuse has no plugins"

_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("GET", "/containers/{name}/attach/ws", _WEBSOCKET),
    ("POST", "/build", _BUILD),
    ("POST", "/build/cancel", _BUILD),
    ("POST", "/session", _BUILD),
    ("POST", "/grpc", _BUILD),
    ("POST", "/auth", _REGISTRY),
    ("GET", "/images/search", _REGISTRY),
    ("POST", "/images/{name:.+}/push", _REGISTRY),
    ("GET", "/distribution/{rest:.*}", _REGISTRY),
    ("GET", "/images/get", _SAVE),
    ("GET", "/images/{name:.+}/get", _SAVE),
    *(
        ("*", f"/{thing}{{rest:(/.*)?}}", _SWARM)
        for thing in ("swarm", "nodes", "services", "tasks", "secrets", "configs")
    ),
    ("*", "/plugins{rest:(/.*)?}", _PLUGINS),
)


class UnsupportedRoutes:
    """Routes that answer 501 and why."""

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        for method, path, reason in _ROUTES:
            yield Route(method, path, _refuse(reason))


def _refuse(reason: str) -> Handler:
    async def refuse(request: web.Request) -> web.StreamResponse:
        raise Unsupported(f"{request.method} {without_version(request.path)} is not supported: {reason}")

    return refuse
