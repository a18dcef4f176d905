"""Verbs that show something of one container: top, diff, port."""

from __future__ import annotations

from typing import Annotated

import typer

from volfuse.cli.client import segment
from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.humanize import natural_key
from volfuse.cli.jsontypes import Json
from volfuse.cli.output import say, show
from volfuse.cli.session import client_of
from volfuse.cli.tabular import align

app = typer.Typer()

_TOP_WIDTH = 20
_KINDS = {0: "C", 1: "A", 2: "D"}
_HIGHEST_PORT = 65535


@app.command(
    "top",
    cls=verb("CONTAINER [ps OPTIONS]", 1, None, interspersed=False),
    help="Display the running processes of a container",
)
def top(
    ctx: typer.Context,
    container: str,
    ps_options: Annotated[list[str] | None, typer.Argument()] = None,
) -> None:
    """Print the processes of a container as `ps` shows them."""
    query = {"ps_args": " ".join(ps_options or []) or None}
    found = client_of(ctx).get(f"/containers/{segment(container)}/top", query)
    lines = ["\t".join(row) for row in (found["Titles"], *(found["Processes"] or []))]
    show(align("".join(f"{line}\n" for line in lines), _TOP_WIDTH))


@app.command(
    "diff", cls=verb("CONTAINER", 1, 1), help="Inspect changes to files or directories on a container's filesystem"
)
def diff(ctx: typer.Context, container: str) -> None:
    """Print what differs from the image."""
    for change in client_of(ctx).get(f"/containers/{segment(container)}/changes") or []:
        say(f"{_KINDS[change['Kind']]} {change['Path']}")


@app.command(
    "port",
    cls=verb("CONTAINER [PRIVATE_PORT[/PROTO]]", 1, 2),
    help="List port mappings or a specific mapping for the container",
)
def port(ctx: typer.Context, container: str, private_port: Annotated[str, typer.Argument()] = "") -> None:
    """Print the host's ports; volfuse's containers have none."""
    found = client_of(ctx).get(f"/containers/{segment(container)}/json")
    published = (found.get("NetworkSettings") or {}).get("Ports") or {}
    if private_port:
        lines = [_address(entry) for entry in published.get(_port_name(private_port)) or []]
        if not lines:
            raise CommandFailed(f"Error: No public port '{private_port}' published for {container}")
    else:
        lines = [f"{name} -> {_address(entry)}" for name, entries in published.items() for entry in entries or []]
    for line in sorted(lines, key=natural_key):
        say(line)


def _port_name(text: str) -> str:
    number, _, protocol = text.partition("/")
    if not (number.isascii() and number.isdigit()):
        raise CommandFailed(f'Error: invalid port ({number}): strconv.ParseUint: parsing "{number}": invalid syntax')
    if int(number) > _HIGHEST_PORT:
        raise CommandFailed(
            f'Error: invalid port ({number}): strconv.ParseUint: parsing "{number}": value out of range'
        )
    return f"{number}/{protocol or 'tcp'}"


def _address(entry: Json) -> str:
    host = f"[{entry['HostIp']}]" if ":" in entry["HostIp"] else entry["HostIp"]
    return f"{host}:{entry['HostPort']}"
