"""attach: connect the user's streams with a container that runs.

Source: docker/cli, cli/command/container/attach.go.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from volfuse.cli.client import Client, segment
from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.frames import consumer
from volfuse.cli.jsontypes import Json
from volfuse.cli.options import DetachKeys, SigProxy
from volfuse.cli.session import client_of
from volfuse.cli.signals import Signals, resize
from volfuse.cli.streaming import Connected, refuse_detached
from volfuse.cli.terminal import check_terminal, is_terminal, window_size
from volfuse.cli.waiting import ExitWait

__all__ = ["connect_to"]

app = typer.Typer()

_NOT_ATTACHABLE = {
    "Paused": "You cannot attach to a paused container, unpause it first",
    "Restarting": "You cannot attach to a restarting container, wait until it is running",
}


@app.command(
    "attach",
    cls=verb("CONTAINER", 1, 1),
    help="Attach local standard input, output, and error streams to a running container",
)
def attach(
    ctx: typer.Context,
    container: str,
    detach_keys: DetachKeys = "",
    no_stdin: Annotated[bool, typer.Option("--no-stdin", help="Do not attach STDIN")] = False,
    sig_proxy: SigProxy = True,
) -> int:
    """Attach to a container and end with its exit status."""
    client = client_of(ctx)
    client.connect()
    path = f"/containers/{segment(container)}"
    with ExitStack() as stack:
        waiting = stack.enter_context(ExitWait(client, container))
        config = _running(client, path)["Config"]
        tty = config["Tty"]
        check_terminal(stdin=not no_stdin, tty=tty)
        signals = stack.enter_context(Signals(client, container if sig_proxy and not tty else None))
        stdin = config["OpenStdin"] and not no_stdin
        connected = stack.enter_context(connect_to(client, path, tty=tty, stdin=stdin, keys=detach_keys))
        _running(client, path)  # it may have ended before the connection was made, which then never ends
        if tty and is_terminal(sys.stdout):
            _redraw(client, path, signals)
        refuse_detached(connected.run())
        return waiting.status()


def connect_to(client: Client, path: str, *, tty: bool, stdin: bool, keys: str) -> Connected:
    """Return a connection with a container's streams, to be entered.

    Args:
        client: of the daemon.
        path: of the container.
        tty: it has a terminal.
        stdin: pass input on.
        keys: what detaches.
    """
    query = {
        "stream": "1",
        "stdin": "1" if stdin else None,
        "stdout": "1",
        "stderr": "1",
        "detachKeys": keys or None,
    }
    stream = client.hijack(f"{path}/attach", query)
    return Connected(stream, stdin=sys.stdin if stdin else None, output=consumer(tty=tty), tty=tty, keys=keys)


def _running(client: Client, path: str) -> dict[str, Json]:
    found: dict[str, Json] = client.get(f"{path}/json")
    if not found["State"]["Running"]:
        raise CommandFailed("You cannot attach to a stopped container, start it first")
    for state, text in _NOT_ATTACHABLE.items():
        if found["State"][state]:
            raise CommandFailed(text)
    return found


def _redraw(client: Client, path: str, signals: Signals) -> None:
    """Change the terminal's size and set it right: programs draw their prompt anew only when the size changes."""
    height, width = window_size()
    resize(client, path, height + 1, width + 1)
    signals.follow_window(path)
