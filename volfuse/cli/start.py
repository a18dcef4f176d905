"""start: run stopped containers again, with the user's streams connected if wanted.

Source: docker/cli, cli/command/container/start.go.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from volfuse.cli.attach import connect_to
from volfuse.cli.client import Client, segment
from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.options import DetachKeys
from volfuse.cli.output import complain, say
from volfuse.cli.session import client_of
from volfuse.cli.signals import Signals
from volfuse.cli.streaming import Ending
from volfuse.cli.terminal import is_terminal
from volfuse.cli.waiting import ExitWait

app = typer.Typer()


@app.command("start", cls=verb("CONTAINER [CONTAINER...]", 1, None), help="Start one or more stopped containers")
def start(
    ctx: typer.Context,
    containers: list[str],
    attach: Annotated[bool, typer.Option("-a", "--attach", help="Attach STDOUT/STDERR and forward signals")] = False,
    detach_keys: DetachKeys = "",
    interactive: Annotated[bool, typer.Option("-i", "--interactive", help="Attach container's STDIN")] = False,
) -> int:
    """Start containers and print their names, or start one and end with its exit status."""
    if not (attach or interactive):
        _start_all(client_of(ctx), containers)
        return 0
    if len(containers) > 1:
        raise CommandFailed("you cannot start and attach multiple containers at once")
    return _start_attached(client_of(ctx), containers[0], interactive, detach_keys)


def _start_all(client: Client, names: list[str]) -> None:
    failed = []
    for name in names:
        try:
            client.post(f"/containers/{segment(name)}/start")
        except CommandFailed as fault:
            complain(fault)
            failed.append(name)
        else:
            say(name)
    if failed:
        raise CommandFailed(f"Error: failed to start containers: {', '.join(failed)}")


def _start_attached(client: Client, name: str, interactive: bool, keys: str) -> int:
    found = client.get(f"/containers/{segment(name)}/json")
    tty, stdin = found["Config"]["Tty"], interactive and found["Config"]["OpenStdin"]
    path = f"/containers/{segment(found['Id'])}"
    with ExitStack() as stack:
        signals = stack.enter_context(Signals(client, None if tty else found["Id"]))
        connected = stack.enter_context(connect_to(client, path, tty=tty, stdin=stdin, keys=keys))
        remove = found["HostConfig"]["AutoRemove"]
        waiting = stack.enter_context(ExitWait(client, found["Id"], "removed" if remove else "next-exit"))
        try:
            client.post(f"{path}/start")
        except CommandFailed:
            if remove:
                waiting.status()
            raise
        if tty and is_terminal(sys.stdout):
            signals.follow_window(path)
        return 0 if connected.run() is Ending.DETACHED else waiting.status()
