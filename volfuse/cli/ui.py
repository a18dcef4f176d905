"""ui: serve a page on which containers, what they share, and changes can be looked at."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from typing import Annotated

import typer

from volfuse.cli.command import verb
from volfuse.cli.connection import short_path
from volfuse.cli.failure import CommandFailed
from volfuse.cli.output import say
from volfuse.cli.session import client_of, session_of
from volfuse.ui.server import Page, new_token
from volfuse.ui.upstream import Daemon

app = typer.Typer()

_LOOPBACK = "127.0.0.1"


@app.command("ui", cls=verb(), help="Serve a page that shows containers, what they share, and changes as they come")
def ui(
    ctx: typer.Context,
    port: Annotated[int, typer.Option("--port", metavar="int", help="Port of the loopback device, 0 for any")] = 0,
) -> None:
    """Print the page's address and serve it until a signal comes."""
    with _listen(port) as listener:
        client_of(ctx).connect()  # starts a daemon if there is none
        with short_path(session_of(ctx).places.socket) as path:
            asyncio.run(_serve(listener, path))


def _listen(port: int) -> socket.socket:
    if not 0 <= port < 1 << 16:
        raise CommandFailed(f"invalid value for --port: {port} is no port")
    try:
        return socket.create_server((_LOOPBACK, port))
    except OSError as fault:
        reason = os.strerror(fault.errno or 0).lower()
        raise CommandFailed(f"cannot listen on {_LOOPBACK}:{port}: {reason}") from fault


async def _serve(listener: socket.socket, path: str) -> None:
    port, token = listener.getsockname()[1], new_token()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Daemon(path) as daemon, Page(daemon, port, token).serve(listener):
        say(f"http://{_LOOPBACK}:{port}/{token}/")
        sys.stdout.flush()
        await ended.wait()
