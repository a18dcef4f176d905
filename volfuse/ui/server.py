"""The page's server: who may ask, and what is answered.

It listens on the loopback device only. Whoever may use the page knows its address, which has a token as its first
segment: other users of the machine do not, and neither do other pages of the same browser. The `Host` header is checked
too, since a page of another name could have that name lead here (DNS rebinding). Everything is read only, nothing is
kept by the browser, and the page may load nothing from elsewhere nor run what is written into it.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from volfuse.core.graph.layout import Layout, lay_out
from volfuse.core.graph.sharing import around, graph_json, graph_of
from volfuse.ui.live import relay
from volfuse.ui.upstream import Daemon, Refused, Unreachable

__all__ = ["Page", "new_token"]

_STATIC: Final = {
    "": ("page.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    "page.js": ("page.js", "text/javascript"),
    "changes.js": ("changes.js", "text/javascript"),
    "files.js": ("files.js", "text/javascript"),
    "graph.js": ("graph.js", "text/javascript"),
    "text.js": ("text.js", "text/javascript"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
"""By path, the page's files: nothing else is ever opened."""

_HEADERS: Final = {
    hdrs.CACHE_CONTROL: "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_HTTP_PORT: Final = 80
_GRACE_S: Final = 0.1
"""Streams never end by themselves."""


def new_token() -> str:
    """Return what nobody guesses, for the address of the page."""
    return secrets.token_urlsafe(24)


class Page:
    """The page, for one daemon.

    Args:
        port: on which it is reached.
        token: first segment of its address.
    """

    def __init__(self, daemon: Daemon, port: int, token: str) -> None:
        self._daemon = daemon
        self._token = token.encode()
        suffix = "" if port == _HTTP_PORT else f":{port}"  # browsers leave it out
        self._hosts = frozenset(f"{name}{suffix}" for name in ("127.0.0.1", "localhost"))
        self._files = {
            path: (files("volfuse.ui").joinpath("static", name).read_bytes(), content_type)
            for path, (name, content_type) in _STATIC.items()
        }

    @asynccontextmanager
    async def serve(self, listener: socket.socket) -> AsyncIterator[None]:
        """Serve on a listening socket, which is closed at the end, until the block ends."""
        runner = web.AppRunner(self._app(), access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE_S)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield
        finally:
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/{token}/graph", self._graph)
        app.router.add_get("/{token}/changes", self._changes)
        app.router.add_get("/{token}/files", self._list_files)
        app.router.add_get("/{token}/{name:[a-z.]*}", self._file)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer whoever may ask; errors are JSON."""
        given = request.path.split("/")[1].encode(errors="replace")
        try:
            if request.host not in self._hosts or not hmac.compare_digest(given, self._token):
                raise web.HTTPForbidden(text="open the address that `volfuse ui` has printed")
            return await handler(request)
        except web.HTTPException as exc:
            return _error(exc.status, exc.text or exc.reason)
        except Refused as exc:
            return _error(exc.status, str(exc))
        except Unreachable:
            return _error(503, "the daemon does not answer")

    async def _file(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        body, content_type = found
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    async def _graph(self, request: web.Request) -> web.Response:
        views = await self._daemon.get("/volfuse/views")
        volumes = (await self._daemon.get("/volumes"))["Volumes"] or []
        graph = graph_of(views, [volume["Name"] for volume in volumes])
        shown = around(graph, request.query["around"]) if "around" in request.query else graph
        return web.json_response({**graph_json(graph), "Layout": _layout_json(lay_out(shown))})

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        return await relay(request, self._daemon)

    async def _list_files(self, request: web.Request) -> web.Response:
        given = dict(parse_qsl(request.rel_url.raw_query_string, errors="surrogateescape"))
        wanted = {key: given.get(key, "") for key in ("container", "path")}
        return web.json_response(await self._daemon.get("/volfuse/files", wanted))


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


def _layout_json(layout: Layout) -> dict[str, object]:
    return {
        "Width": layout.width,
        "Height": layout.height,
        "Boxes": [
            {
                "Key": box.key,
                "Kind": box.kind,
                "X": box.x,
                "Y": box.y,
                "Width": box.width,
                "Height": box.height,
                "Title": box.title,
                "Note": box.note,
                "Rows": [{"Text": row.text, "Y": row.y, "RW": row.rw} for row in box.rows],
            }
            for box in layout.boxes
        ],
        "Lines": [
            {
                "Kind": line.kind,
                "Begin": line.begin,
                "End": line.end,
                "Path": line.path,
                "RW": line.rw,
                "Where": line.where,
            }
            for line in layout.lines
        ],
    }
