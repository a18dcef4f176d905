"""exec: run another program in a running container.

Source: docker/cli, cli/command/container/exec.go.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from volfuse.cli.client import Client, segment
from volfuse.cli.command import verb
from volfuse.cli.frames import consumer
from volfuse.cli.jsontypes import Json
from volfuse.cli.keyvalues import check_environment, environment
from volfuse.cli.options import DetachKeys
from volfuse.cli.session import client_of
from volfuse.cli.signals import Signals
from volfuse.cli.streaming import Connected, refuse_detached
from volfuse.cli.terminal import check_terminal, is_terminal, window_size

app = typer.Typer()

Many = list[str] | None


@app.command(
    "exec",
    cls=verb("CONTAINER COMMAND [ARG...]", 2, None, interspersed=False, checks={"--env": check_environment}),
    help="Execute a command in a running container",
)
def exec_(
    ctx: typer.Context,
    container: str,
    command: list[str],
    detach: Annotated[
        bool, typer.Option("-d", "--detach", help="Detached mode: run command in the background")
    ] = False,
    detach_keys: DetachKeys = "",
    env: Annotated[Many, typer.Option("-e", "--env", metavar="list", help="Set environment variables")] = None,
    env_file: Annotated[
        Many, typer.Option("--env-file", metavar="list", help="Read in a file of environment variables")
    ] = None,
    interactive: Annotated[
        bool, typer.Option("-i", "--interactive", help="Keep STDIN open even if not attached")
    ] = False,
    privileged: Annotated[bool, typer.Option("--privileged", help="Give extended privileges to the command")] = False,
    tty: Annotated[bool, typer.Option("-t", "--tty", help="Allocate a pseudo-TTY")] = False,
    user: Annotated[
        str,
        typer.Option("-u", "--user", metavar="string", help='Username or UID (format: "<name|uid>[:<group|gid>]")'),
    ] = "",
    workdir: Annotated[
        str, typer.Option("-w", "--workdir", metavar="string", help="Working directory inside the container")
    ] = "",
) -> int:
    """Run a program and end with its exit status."""
    body: dict[str, Json] = {
        "User": user,
        "Privileged": privileged,
        "Tty": tty,
        "AttachStdin": interactive and not detach,
        "AttachStdout": not detach,
        "AttachStderr": not detach,
        "Detach": detach,
        "DetachKeys": detach_keys,
        "Env": environment(env_file or [], env or [], os.environ),
        "WorkingDir": workdir,
        "Cmd": command,
    }
    client = client_of(ctx)
    path = f"/containers/{segment(container)}"
    client.get(f"{path}/json")
    check_terminal(stdin=body["AttachStdin"], tty=tty)
    console = {"ConsoleSize": list(window_size())} if tty else {}
    made = client.post(f"{path}/exec", body=body | console)["Id"]
    if detach:
        client.post(f"/exec/{made}/start", body={"Detach": True, "Tty": tty} | console)
        return 0
    return _run(client, f"/exec/{made}", body, console)


def _run(client: Client, path: str, body: dict[str, Json], console: dict[str, Json]) -> int:
    tty, keys = body["Tty"], body["DetachKeys"]
    with ExitStack() as stack:
        signals = stack.enter_context(Signals(client, None))
        stream = client.hijack(f"{path}/start", body={"Detach": False, "Tty": tty} | console)
        stdin = sys.stdin if body["AttachStdin"] else None
        connected = stack.enter_context(Connected(stream, stdin=stdin, output=consumer(tty=tty), tty=tty, keys=keys))
        if tty and is_terminal(sys.stdin):
            signals.follow_window(path)
        refuse_detached(connected.run())
        return client.get(f"{path}/json")["ExitCode"] or 0  # none yet: it has closed its output, but runs on
