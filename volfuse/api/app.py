"""The application: all routes, with and without a version, and the server on a listening socket."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from volfuse.api.archive import ArchiveRoutes
from volfuse.api.attach import AttachRoutes
from volfuse.api.containers import ContainerRoutes
from volfuse.api.errors import error_middleware
from volfuse.api.events import EventRoutes
from volfuse.api.execs import ExecRoutes
from volfuse.api.feed import FeedRoutes
from volfuse.api.images import ImageRoutes
from volfuse.api.networks import NetworkRoutes
from volfuse.api.replies import add_headers
from volfuse.api.route import RouteGroup
from volfuse.api.running import RunningRoutes
from volfuse.api.stats import StatsRoutes
from volfuse.api.streams import BODY_BUFFER_BYTES
from volfuse.api.system import SystemRoutes
from volfuse.api.trees import TreeRoutes
from volfuse.api.unsupported import UnsupportedRoutes
from volfuse.api.updates import UpdateRoutes
from volfuse.api.versioning import PREFIX, version_middleware
from volfuse.api.views import Doctor, ViewRoutes
from volfuse.api.volumes import VolumeRoutes
from volfuse.api.workers import Workers
from volfuse.engine.engine import Engine

__all__ = ["build_app", "serve"]

_JSON_BYTES = 8 * 1024 * 1024
"""The longest JSON body; archives are streams and have no limit."""

_LINE_BYTES = 64 * 1024
"""The longest request line: filters and `changes` are part of it."""

_GRACE_S = 2.0
"""How long requests may go on after the daemon was told to end."""


def build_app(engine: Engine, workers: Workers, doctor: Doctor) -> web.Application:
    """Return the application that serves an engine."""
    app = web.Application(middlewares=[error_middleware, version_middleware], client_max_size=_JSON_BYTES)
    app.on_response_prepare.append(add_headers)
    groups: Sequence[RouteGroup] = (
        SystemRoutes(engine, workers),
        EventRoutes(engine.events),
        FeedRoutes(engine.feed, engine.containers, engine.volumes, engine.views, workers),
        VolumeRoutes(engine.volumes, workers),
        ImageRoutes(engine.images, workers),
        ContainerRoutes(engine, workers),
        RunningRoutes(engine.starts, engine.lifecycle, engine.observation, workers),
        StatsRoutes(engine.observation, workers),
        UpdateRoutes(engine.updates, workers),
        NetworkRoutes(engine.networks, workers),
        AttachRoutes(engine.starts, engine.observation, engine.containers, workers),
        ExecRoutes(engine.execs, workers),
        TreeRoutes(engine.trees, workers),
        ArchiveRoutes(engine.archive, workers),
        ViewRoutes(engine.views, engine.containers, doctor, workers),
        UnsupportedRoutes(),
    )
    for group in groups:
        for route in group.routes():
            app.router.add_route(route.method, route.path, route.handler)
            app.router.add_route(route.method, PREFIX + route.path, route.handler)
    return app


@asynccontextmanager
async def serve(app: web.Application, listener: socket.socket, *, grace_s: float = _GRACE_S) -> AsyncIterator[None]:
    """Serve on a listening socket, which is closed at the end, until the block ends.

    At the end no new requests are taken; those under way get a few seconds, then they are cancelled. Requests are
    cancelled too when their client goes away.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=grace_s,
        read_bufsize=BODY_BUFFER_BYTES,
        max_line_size=_LINE_BYTES,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()
