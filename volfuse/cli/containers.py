"""Verbs of containers: ps, rm, rename, prune."""

from __future__ import annotations

from typing import Annotated

import typer

from volfuse.cli.client import Client, filters, segment
from volfuse.cli.columns import CONTAINER, WITH_SIZE
from volfuse.cli.command import verb
from volfuse.cli.confirm import agreed, reclaimed
from volfuse.cli.failure import CommandFailed, DaemonError
from volfuse.cli.filtering import parse_filters
from volfuse.cli.jsontypes import Json
from volfuse.cli.listing import render, uses
from volfuse.cli.options import Filters, Force, Format, NoTrunc, Quiet
from volfuse.cli.output import complain, say, show
from volfuse.cli.session import client_of, each

app = typer.Typer()


@app.command("ps", cls=verb(), help="List containers")
def ps(
    ctx: typer.Context,
    show_all: Annotated[
        bool, typer.Option("-a", "--all", help="Show all containers (default shows just running)")
    ] = False,
    filter_: Filters = None,
    format_: Format = "",
    last: Annotated[
        int, typer.Option("-n", "--last", metavar="int", help="Show n last created containers (includes all states)")
    ] = -1,
    latest: Annotated[
        bool, typer.Option("-l", "--latest", help="Show the latest created container (includes all states)")
    ] = False,
    no_trunc: NoTrunc = False,
    quiet: Quiet = False,
    size: Annotated[bool, typer.Option("-s", "--size", help="Display total file sizes")] = False,
) -> None:
    """Print the containers."""
    if quiet and format_:
        complain("WARNING: Ignoring custom format, because both --format and --quiet are set.")
    chosen = CONTAINER.quiet if quiet else format_
    limit = 1 if latest else last
    query = {
        "all": "1" if show_all else None,
        "limit": str(limit) if limit > 0 else None,
        "size": "1" if size or (not quiet and uses(CONTAINER, format_, "Size", {})) else None,
        "filters": filters(parse_filters(filter_ or [])),
    }
    found = client_of(ctx).get("/containers/json", query)
    show(render(CONTAINER, found, chosen, trunc=not no_trunc, table=WITH_SIZE if size else ""))


@app.command("rm", cls=verb("CONTAINER [CONTAINER...]", 1, None), help="Remove one or more containers")
def rm(
    ctx: typer.Context,
    containers: list[str],
    force: Annotated[
        bool, typer.Option("-f", "--force", help="Force the removal of a running container (uses SIGKILL)")
    ] = False,
    link: Annotated[bool, typer.Option("-l", "--link", help="Remove the specified link")] = False,
    volumes: Annotated[
        bool, typer.Option("-v", "--volumes", help="Remove anonymous volumes associated with the container")
    ] = False,
) -> int:
    """Remove containers; with force, one that is not there is no failure."""
    client = client_of(ctx)
    query = {"force": "1" if force else None, "link": "1" if link else None, "v": "1" if volumes else None}

    def remove(name: str) -> None:
        if not name.strip("/"):
            raise CommandFailed("container name cannot be empty")
        try:
            client.delete(f"/containers/{segment(name)}", query)
        except DaemonError as fault:
            if not (force and fault.code == 404):
                raise
            complain(fault)
        else:
            say(name)

    return each(containers, remove)


@app.command("rename", cls=verb("CONTAINER NEW_NAME", 2, 2), help="Rename a container")
def rename(ctx: typer.Context, container: str, new_name: str) -> None:
    """Give a container another name."""
    if not container.strip() or not new_name.strip():
        raise CommandFailed("Error: Neither old nor new names may be empty")
    try:
        client_of(ctx).post(f"/containers/{segment(container)}/rename", {"name": new_name})
    except DaemonError as fault:
        raise CommandFailed(f"{fault}\nError: failed to rename container named {container}") from fault


@app.command("prune", cls=verb(), help="Remove all stopped containers")
def prune(
    ctx: typer.Context,
    filter_: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="filter", help='Provide filter values (e.g. "until=<timestamp>")'),
    ] = None,
    force: Force = False,
) -> None:
    """Remove stopped containers."""
    if agreed("WARNING! This will remove all stopped containers.", force):
        reply = prune_containers(client_of(ctx), parse_filters(filter_ or []))
        show(reclaimed("Deleted Containers", reply["ContainersDeleted"], reply["SpaceReclaimed"]))


def prune_containers(client: Client, chosen: dict[str, list[str]]) -> Json:
    """Ask the daemon to remove stopped containers and return its reply."""
    return client.post("/containers/prune", {"filters": filters(chosen)})
