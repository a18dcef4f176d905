"""Verbs of images: images, rmi, tag, history, prune."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from volfuse.cli.client import Client, filters
from volfuse.cli.columns import HISTORY, HISTORY_EXACT, IMAGE, IMAGE_WITH_DIGEST, image_rows
from volfuse.cli.command import verb
from volfuse.cli.confirm import agreed, reclaimed
from volfuse.cli.failure import DaemonError
from volfuse.cli.filtering import parse_filters
from volfuse.cli.jsontypes import Json
from volfuse.cli.listing import render
from volfuse.cli.options import Filters, Force, Format, NoTrunc
from volfuse.cli.output import complain, say, show
from volfuse.cli.session import client_of, each

app = typer.Typer()


def image_path(reference: str, action: str = "") -> str:
    """Return the path of an image's endpoint; the slashes of its name stay."""
    return f"/images/{quote(reference, safe='/:@')}{action}"


@app.command("images", cls=verb("[REPOSITORY[:TAG]]", 0, 1), help="List images")
def images(
    ctx: typer.Context,
    repository: Annotated[str, typer.Argument()] = "",
    show_all: Annotated[
        bool, typer.Option("-a", "--all", help="Show all images (default hides intermediate images)")
    ] = False,
    digests: Annotated[bool, typer.Option("--digests", help="Show digests")] = False,
    filter_: Filters = None,
    format_: Format = "",
    no_trunc: NoTrunc = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only show image IDs")] = False,
) -> None:
    """Print the images, a line for each tag."""
    chosen = parse_filters(filter_ or [])
    if repository:
        chosen["reference"] = [repository]
    found = client_of(ctx).get("/images/json", {"all": "1" if show_all else None, "filters": filters(chosen)})
    by_digest = digests or ".Digest" in format_
    rows = [row for image in found for row in image_rows(image, digests=by_digest)]
    text = IMAGE.quiet if quiet and not format_ else format_
    show(render(IMAGE, rows, text, trunc=not no_trunc, table=IMAGE_WITH_DIGEST if digests else ""))


@app.command("rmi", cls=verb("IMAGE [IMAGE...]", 1, None), help="Remove one or more images")
def rmi(
    ctx: typer.Context,
    references: list[str],
    force: Annotated[bool, typer.Option("-f", "--force", help="Force removal of the image")] = False,
    no_prune: Annotated[bool, typer.Option("--no-prune", help="Do not delete untagged parents")] = False,
) -> int:
    """Remove names of images, and images without a name."""
    client = client_of(ctx)
    query = {"force": "1" if force else None, "noprune": "1" if no_prune else None}

    def remove(reference: str) -> None:
        try:
            steps = client.delete(image_path(reference), query)
        except DaemonError as fault:
            if not (force and fault.code == 404):
                raise
            complain(fault)
        else:
            for step in steps:
                say(f"Deleted: {step['Deleted']}" if step.get("Deleted") else f"Untagged: {step['Untagged']}")

    return each(references, remove)


@app.command(
    "tag",
    cls=verb("SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", 2, 2),
    help="Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
)
def tag(ctx: typer.Context, source: str, target: str) -> None:
    """Give an image another name."""
    repository, tag_name = split_reference(target)
    client_of(ctx).post(image_path(source, "/tag"), {"repo": repository, "tag": tag_name or "latest"})


def split_reference(reference: str) -> tuple[str, str]:
    """Split `NAME[:TAG]`; the colon of a registry's port does not count."""
    head, colon, last = reference.rpartition(":")
    if not colon or "/" in last:
        return reference, ""
    return head, last


@app.command("history", cls=verb("IMAGE", 1, 1), help="Show the history of an image")
def history(
    ctx: typer.Context,
    image: str,
    format_: Format = "",
    human: Annotated[
        bool, typer.Option("-H", "--human/--exact", help="Print sizes and dates in human readable format")
    ] = True,
    no_trunc: NoTrunc = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only show image IDs")] = False,
) -> None:
    """Print how an image came to be, the last step first."""
    steps = [{**step, "_human": human} for step in client_of(ctx).get(image_path(image, "/history"))]
    text = HISTORY.quiet if quiet and not format_ else format_
    show(render(HISTORY, steps, text, trunc=not no_trunc, table="" if human else HISTORY_EXACT))


@app.command("prune", cls=verb(), help="Remove unused images")
def prune(
    ctx: typer.Context,
    show_all: Annotated[
        bool, typer.Option("-a", "--all", help="Remove all unused images, not just dangling ones")
    ] = False,
    filter_: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="filter", help='Provide filter values (e.g. "until=<timestamp>")'),
    ] = None,
    force: Force = False,
) -> None:
    """Remove images that no container uses."""
    which = "all images without at least one container associated to them" if show_all else "all dangling images"
    if agreed(f"WARNING! This will remove {which}.", force):
        reply = prune_images(client_of(ctx), parse_filters(filter_ or []), unused=show_all)
        names = [deleted_line(step) for step in reply["ImagesDeleted"] or []]
        show(reclaimed("Deleted Images", names, reply["SpaceReclaimed"]))


def prune_images(client: Client, chosen: dict[str, list[str]], *, unused: bool) -> Json:
    """Ask the daemon to remove images and return its reply."""
    return client.post("/images/prune", {"filters": filters({**chosen, "dangling": ["false" if unused else "true"]})})


def deleted_line(step: dict[str, str]) -> str:
    """Return the line that a prune prints for one step."""
    return f"untagged: {step['Untagged']}" if step.get("Untagged") else f"deleted: {step['Deleted']}"
