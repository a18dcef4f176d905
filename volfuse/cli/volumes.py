"""Verbs of volumes: create, ls, rm, prune."""

from __future__ import annotations

from typing import Annotated

import typer

from volfuse.cli.client import Client, filters, segment
from volfuse.cli.columns import VOLUME
from volfuse.cli.command import verb
from volfuse.cli.confirm import agreed, reclaimed
from volfuse.cli.failure import CommandFailed
from volfuse.cli.filtering import parse_filters
from volfuse.cli.humanize import natural_key
from volfuse.cli.jsontypes import Json
from volfuse.cli.keyvalues import check_label, pairs
from volfuse.cli.listing import render
from volfuse.cli.options import Filters, Force, Format
from volfuse.cli.output import say, show
from volfuse.cli.session import client_of, each

app = typer.Typer()


@app.command("create", cls=verb("[VOLUME]", 0, 1, checks={"--label": check_label}), help="Create a volume")
def create(
    ctx: typer.Context,
    volume: Annotated[str, typer.Argument()] = "",
    driver: Annotated[
        str, typer.Option("-d", "--driver", metavar="string", help="Specify volume driver name")
    ] = "local",
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="list", help="Set metadata for a volume")
    ] = None,
    opt: Annotated[
        list[str] | None, typer.Option("-o", "--opt", metavar="map", help="Set driver specific options")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="string", hidden=True)] = "",
) -> None:
    """Create a volume and print its name."""
    if name and volume:
        raise CommandFailed(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
        )
    body: dict[str, Json] = {"Driver": driver}
    if opt:
        body["DriverOpts"] = pairs(opt)
    if label:
        body["Labels"] = pairs(label)
    if volume or name:
        body["Name"] = volume or name
    say(client_of(ctx).post("/volumes/create", body=body)["Name"])


@app.command("ls", cls=verb(), help="List volumes")
def ls(
    ctx: typer.Context,
    filter_: Filters = None,
    format_: Format = "",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only display volume names")] = False,
) -> None:
    """Print the volumes, by name."""
    reply = client_of(ctx).get("/volumes", {"filters": filters(parse_filters(filter_ or []))})
    found = sorted(reply["Volumes"] or [], key=lambda volume: natural_key(volume["Name"]))
    show(render(VOLUME, found, VOLUME.quiet if quiet and not format_ else format_))


@app.command("rm", cls=verb("VOLUME [VOLUME...]", 1, None), help="Remove one or more volumes")
def rm(
    ctx: typer.Context,
    volumes: list[str],
    force: Annotated[bool, typer.Option("-f", "--force", help="Force the removal of one or more volumes")] = False,
) -> int:
    """Remove volumes that nothing uses."""
    client = client_of(ctx)

    def remove(name: str) -> None:
        client.delete(f"/volumes/{segment(name)}", {"force": "1" if force else None})
        say(name)

    return each(volumes, remove)


@app.command("prune", cls=verb(), help="Remove unused local volumes")
def prune(
    ctx: typer.Context,
    show_all: Annotated[
        bool, typer.Option("-a", "--all", help="Remove all unused volumes, not just anonymous ones")
    ] = False,
    filter_: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="filter", help='Provide filter values (e.g. "label=<label>")'),
    ] = None,
    force: Force = False,
) -> None:
    """Remove unused volumes."""
    which = "all" if show_all else "anonymous"
    if agreed(f"WARNING! This will remove {which} local volumes not used by at least one container.", force):
        chosen = parse_filters(filter_ or [])
        if show_all:
            if "all" in chosen:
                raise CommandFailed("conflicting options: cannot specify both --all and --filter all=1")
            chosen["all"] = ["true"]
        reply = prune_volumes(client_of(ctx), chosen)
        show(reclaimed("Deleted Volumes", reply["VolumesDeleted"], reply["SpaceReclaimed"]))


def prune_volumes(client: Client, chosen: dict[str, list[str]]) -> Json:
    """Ask the daemon to remove unused volumes and return its reply."""
    return client.post("/volumes/prune", {"filters": filters(chosen)})
