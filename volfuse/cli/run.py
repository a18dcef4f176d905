"""run: make a container, connect the user's streams, start it, and end with its exit status.

The order of requests is Docker's: create, attach, wait, start, resize. So no output and no end is missed.

Source: docker/cli, cli/command/container/run.go.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated

import typer

from volfuse.cli.client import Client, segment
from volfuse.cli.command import verb
from volfuse.cli.containeroptions import CHECKS, CreateOptions, takes
from volfuse.cli.create import configured, make_container
from volfuse.cli.failure import CommandFailed
from volfuse.cli.frames import consumer
from volfuse.cli.jsontypes import Json
from volfuse.cli.options import DetachKeys, SigProxy
from volfuse.cli.output import say
from volfuse.cli.session import client_of
from volfuse.cli.signals import Signals
from volfuse.cli.streaming import Connected, Ending
from volfuse.cli.terminal import check_terminal, is_terminal
from volfuse.cli.waiting import ExitWait

app = typer.Typer()

_NOT_FOUND = ("executable file not found", "no such file or directory", "system cannot find the file specified")
_NOT_ALLOWED = ("permission denied", "is a directory")
_ATTACH = ("AttachStdin", "AttachStdout", "AttachStderr")


@dataclass(frozen=True, kw_only=True)
class RunOptions(CreateOptions):
    """A command line, read."""

    detach: Annotated[
        bool, typer.Option("-d", "--detach", help="Run container in background and print container ID")
    ] = False
    detach_keys: DetachKeys = ""
    sig_proxy: SigProxy = True


@app.command(
    "run",
    cls=verb("IMAGE [COMMAND] [ARG...]", 1, None, interspersed=False, checks=CHECKS),
    help="Create and run a new container from an image",
)
@takes(RunOptions)
def run(ctx: typer.Context, options: RunOptions) -> int:
    """Run a program in a new container."""
    client = client_of(ctx)
    body = _body(options)
    try:
        container = make_container(client, options, body)
    except CommandFailed as fault:
        raise _explained(fault) from fault
    with Signals(client, container if options.sig_proxy else None) as signals:
        if not any(body[stream] for stream in _ATTACH):
            say(container)
            sys.stdout.flush()
            _start_alone(client, container, options)
            return 0
        return _run_attached(client, container, options, body, signals)


def _body(options: RunOptions) -> dict[str, Json]:
    body = configured(options)
    if not options.detach:
        check_terminal(stdin=body["AttachStdin"], tty=options.tty)
        return body
    if options.attach:
        raise CommandFailed("conflicting options: cannot specify both --attach and --detach")
    return body | dict.fromkeys((*_ATTACH, "StdinOnce"), False)


def _start_alone(client: Client, container: str, options: RunOptions) -> None:
    with _exit_of(client, container, options) as waiting:
        _start(client, container, options, waiting)


def _run_attached(client: Client, container: str, options: RunOptions, body: dict[str, Json], signals: Signals) -> int:
    path = f"/containers/{segment(container)}"
    with ExitStack() as stack:
        connected = stack.enter_context(_attach(client, path, options, body))
        waiting = stack.enter_context(_exit_of(client, container, options, connected))
        _start(client, container, options, waiting)
        if options.tty and is_terminal(sys.stdout):
            signals.follow_window(path)
        if connected.run() is Ending.DETACHED:
            return 0
        return waiting.status()


def _attach(client: Client, path: str, options: RunOptions, body: dict[str, Json]) -> Connected:
    query = {
        "stream": "1",
        "stdin": "1" if body["AttachStdin"] else None,
        "stdout": "1" if body["AttachStdout"] else None,
        "stderr": "1" if body["AttachStderr"] else None,
        "detachKeys": options.detach_keys or None,
    }
    stream = client.hijack(f"{path}/attach", query)
    wanted = body["AttachStdout"] or body["AttachStderr"]
    return Connected(
        stream,
        stdin=sys.stdin if body["AttachStdin"] else None,
        output=consumer(tty=options.tty, stdout=body["AttachStdout"], stderr=body["AttachStderr"]) if wanted else None,
        tty=options.tty,
        keys=options.detach_keys,
    )


def _exit_of(client: Client, container: str, options: RunOptions, connected: Connected | None = None) -> ExitWait:
    condition = "removed" if options.remove else "next-exit"
    return ExitWait(client, container, condition, None if connected is None else connected.over.set)


def _start(client: Client, container: str, options: RunOptions, waiting: ExitWait) -> None:
    try:
        client.post(f"/containers/{segment(container)}/start")
    except CommandFailed as fault:
        if options.remove:
            waiting.status()
        raise _explained(fault) from fault


def _explained(fault: CommandFailed) -> CommandFailed:
    """Return a failure with the exit status of its cause: 127 and 126 for a program that is missing or cannot run."""
    text = str(fault)
    status = 127 if any(t in text for t in _NOT_FOUND) else 126 if any(t in text for t in _NOT_ALLOWED) else 125
    return CommandFailed(f"volfuse: {text}\n\nRun 'volfuse run --help' for more information", status)
