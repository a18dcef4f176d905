"""logs: what a container's program has written."""

from __future__ import annotations

from typing import Annotated

import typer

from volfuse.cli.client import segment
from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.frames import consumer
from volfuse.cli.moments import moment
from volfuse.cli.session import client_of
from volfuse.errors import InvalidSpec

app = typer.Typer()

_PIECE_BYTES = 1 << 20
_EXAMPLE = '(e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'


@app.command("logs", cls=verb("CONTAINER", 1, 1), help="Fetch the logs of a container")
def logs(
    ctx: typer.Context,
    container: str,
    details: Annotated[bool, typer.Option("--details", help="Show extra details provided to logs")] = False,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow log output")] = False,
    since: Annotated[str, typer.Option("--since", metavar="string", help=f"Show logs since timestamp {_EXAMPLE}")] = "",
    tail: Annotated[
        str,
        typer.Option("-n", "--tail", metavar="string", help="Number of lines to show from the end of the logs"),
    ] = "all",
    timestamps: Annotated[bool, typer.Option("-t", "--timestamps", help="Show timestamps")] = False,
    until: Annotated[
        str, typer.Option("--until", metavar="string", help=f"Show logs before a timestamp {_EXAMPLE}")
    ] = "",
) -> None:
    """Print a log, and go on with what is written next if wanted."""
    client = client_of(ctx)
    found = client.get(f"/containers/{segment(container)}/json")
    query = {
        "stdout": "1",
        "stderr": "1",
        "since": _moment("since", since),
        "until": _moment("until", until),
        "timestamps": "1" if timestamps else None,
        "details": "1" if details else None,
        "follow": "1" if follow else None,
        "tail": tail,
    }
    with client.open("GET", f"/containers/{segment(found['Id'])}/logs", query) as reply:
        output = consumer(tty=found["Config"].get("Tty", False))
        while piece := reply.read1(_PIECE_BYTES):
            output.feed(memoryview(piece))


def _moment(name: str, text: str) -> str | None:
    try:
        return moment(text)
    except InvalidSpec as fault:
        raise CommandFailed(f'invalid value for "{name}": {fault}') from fault
