"""Verbs that keep a container's files: export, commit."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Annotated

import typer

from volfuse.cli.client import segment
from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.output import say
from volfuse.cli.session import client_of
from volfuse.cli.terminal import is_terminal

app = typer.Typer()

_PIECE_BYTES = 1 << 20


@app.command("export", cls=verb("CONTAINER", 1, 1), help="Export a container's filesystem as a tar archive")
def export(
    ctx: typer.Context,
    container: str,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="string", help="Write to a file, instead of STDOUT")
    ] = "",
) -> None:
    """Write a container's files, without those of its volumes, as an archive."""
    if not output and is_terminal(sys.stdout):
        raise CommandFailed("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    with _target(output) as target, client_of(ctx).open("GET", f"/containers/{segment(container)}/export") as reply:
        while piece := reply.read(_PIECE_BYTES):
            target.write(piece)


@contextmanager
def _target(path: str) -> Iterator[IO[bytes]]:
    """Open what is written to; a file appears under its name when it is whole."""
    if not path:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    _check(path)
    directory, name = os.path.split(os.path.abspath(path))
    fd, unfinished = tempfile.mkstemp(prefix=f".tmp-{name}", dir=directory)
    try:
        with os.fdopen(fd, "wb") as target:
            yield target
        os.rename(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def _check(path: str) -> None:
    directory = os.path.dirname(path)
    try:
        if directory:
            os.stat(directory)
    except OSError as fault:
        reason = (fault.strerror or "").lower()
        raise CommandFailed(f"failed to export container: invalid output path: stat {directory}: {reason}") from fault
    if os.path.isdir(path):
        raise CommandFailed("failed to export container: cannot write to a directory")
    if os.path.lexists(path) and (os.path.islink(path) or not os.path.isfile(path)):
        raise CommandFailed("failed to export container: cannot write to what is not a regular file")


@app.command(
    "commit",
    cls=verb("CONTAINER [REPOSITORY[:TAG]]", 1, 2, interspersed=False),
    help="Create a new image from a container's changes",
)
def commit(
    ctx: typer.Context,
    container: str,
    reference: Annotated[str, typer.Argument()] = "",
    author: Annotated[
        str,
        typer.Option(
            "-a", "--author", metavar="string", help='Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'
        ),
    ] = "",
    change: Annotated[
        list[str] | None,
        typer.Option("-c", "--change", metavar="list", help="Apply Dockerfile instruction to the created image"),
    ] = None,
    message: Annotated[str, typer.Option("-m", "--message", metavar="string", help="Commit message")] = "",
    pause: Annotated[bool, typer.Option("-p", "--pause/--no-pause", help="Pause container during commit")] = True,
) -> None:
    """Make an image of a container's files and print its id."""
    repository, tag = _names(reference)
    query = {
        "container": container,
        "repo": repository,
        "tag": tag,
        "comment": message,
        "author": author,
        "changes": change or None,
        "pause": None if pause else "0",
    }
    say(client_of(ctx).post("/commit", query)["Id"])


def _names(text: str) -> tuple[str, str]:
    """Split a reference into its repository, with registry, and its tag."""
    if not text:
        return "", ""
    from volfuse.core.reference import parse_reference

    reference = parse_reference(text)
    if reference.digest:
        raise CommandFailed("refusing to create a tag with a digest reference")
    return f"{reference.registry}/{reference.path}", reference.tag
