"""Verbs that make images from archives: import, load."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Annotated

import typer

from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.images import split_reference
from volfuse.cli.jsontypes import Json
from volfuse.cli.output import say, show
from volfuse.cli.progress import Metered, show_progress
from volfuse.cli.session import client_of

app = typer.Typer()

_URLS = ("http://", "https://", "git://", "github.com/", "git@")


@app.command(
    "import",
    cls=verb("file|- [REPOSITORY[:TAG]]", 1, None),
    help="Import the contents from a tarball to create a filesystem image",
)
def import_(
    ctx: typer.Context,
    source: str,
    names: Annotated[list[str] | None, typer.Argument()] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("-c", "--change", metavar="list", help="Apply Dockerfile instruction to the created image"),
    ] = None,
    message: Annotated[
        str, typer.Option("-m", "--message", metavar="string", help="Set commit message for imported image")
    ] = "",
    platform: Annotated[
        str, typer.Option("--platform", metavar="string", help="Set platform if server is multi-platform capable")
    ] = "",
) -> None:
    """Send an archive of a file tree and print the id of the image made from it."""
    if source.startswith(_URLS):
        raise CommandFailed(f"importing from a URL is not supported: download {source} first")
    repository, tag = split_reference((names or [""])[0])
    query = {
        "fromSrc": "-",
        "message": message or None,
        "platform": platform or None,
        "repo": repository or None,
        "tag": tag or None,
        "changes": change or None,
    }
    with _archive(None if source == "-" else source) as upload:
        for report in client_of(ctx).lines("POST", "/images/create", query, upload):
            _print(report)


@app.command("load", cls=verb(), help="Load an image from a tar archive or STDIN")
def load(
    ctx: typer.Context,
    input_: Annotated[
        str, typer.Option("-i", "--input", metavar="string", help="Read from tar archive file, instead of STDIN")
    ] = "",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Suppress the load output")] = False,
) -> None:
    """Send an archive made by `docker save` or in OCI layout."""
    if not input_ and sys.stdin.isatty():
        raise CommandFailed("requested load from stdin, but stdin is empty")
    silent = quiet or not sys.stdout.isatty()
    with _archive(input_ or None, silent=silent) as upload:
        for report in client_of(ctx).lines("POST", "/images/load", {"quiet": "1" if silent else "0"}, upload):
            _print(report)


@contextmanager
def _archive(path: str | None, *, silent: bool = False) -> Iterator[IO[bytes] | Metered]:
    """Open the archive, with a progress bar on a terminal."""
    if path is None:
        yield sys.stdin.buffer
        return
    with _opened(path) as archive:
        if silent or not sys.stderr.isatty():
            yield archive
            return
        with show_progress(archive, os.path.basename(path)) as metered:
            yield metered


def _opened(path: str) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as fault:
        raise CommandFailed(f"open {path}: {(fault.strerror or '').lower()}") from fault


def _print(report: dict[str, Json]) -> None:
    if "error" in report:
        raise CommandFailed((report.get("errorDetail") or {}).get("message") or report["error"])
    if "stream" in report:
        show(report["stream"])
    elif "status" in report and "progressDetail" not in report:
        say(report["status"])
    sys.stdout.flush()
