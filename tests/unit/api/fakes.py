"""An engine made of stand-ins, and a client of the application that serves it, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import aiohttp

from volfuse.api.app import build_app, serve
from volfuse.api.workers import Workers
from volfuse.engine.events import EventLog

__all__ = ["Refusing", "engine_of", "serving"]


class Refusing:
    """Raises what it is told to, whatever method is called."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getattr__(self, name):
        def refuse(*arguments, **named):
            raise self._error

        return refuse


def engine_of(**parts) -> SimpleNamespace:
    """Return an engine with these parts; others fail when they are used."""
    names = (
        "images",
        "containers",
        "volumes",
        "views",
        "archive",
        "starts",
        "lifecycle",
        "observation",
        "execs",
        "trees",
        "updates",
        "networks",
        "cgroups",
        "feed",
    )
    missing = {name: SimpleNamespace() for name in names}
    return SimpleNamespace(**{**missing, "root": Path("/nowhere"), "events": EventLog(), **parts})


@asynccontextmanager
async def serving(directory: Path, engine, **options) -> AsyncIterator[aiohttp.ClientSession]:
    """Serve an engine on a unix socket and give a session whose URLs begin with `http://d`."""
    path = str(directory / "s")
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener.bind(path)
    listener.listen()
    with Workers() as workers:
        async with (
            serve(build_app(engine, workers, list), listener, **options),
            aiohttp.ClientSession("http://d", connector=aiohttp.UnixConnector(path)) as session,
            asyncio.timeout(20),
        ):
            yield session
