"""cp: between a container and here, with the rules of docker cp."""

from __future__ import annotations

import base64
import json
import os
import posixpath
import shutil
import sys
from contextlib import ExitStack
from http.client import HTTPResponse
from typing import IO, Annotated

import typer

from volfuse.cli.client import Client, segment
from volfuse.cli.command import verb
from volfuse.cli.copypaths import (
    Endpoint,
    Place,
    asserts_directory,
    local_source,
    plan_copy,
    rebased,
    resolve_local,
    split_entry,
)
from volfuse.cli.failure import CommandFailed, DaemonError
from volfuse.cli.humanize import size
from volfuse.cli.jsontypes import Json
from volfuse.cli.output import complain
from volfuse.cli.session import client_of
from volfuse.cli.tarstream import packed, unpack

app = typer.Typer()

_DIRECTORY = 1 << 31
_SYMLINK = 1 << 27
_SPECIAL = 1 << 26 | 1 << 19
"""Bits of Go's FileMode: device, irregular."""


_USAGE = "CONTAINER:SRC_PATH DEST_PATH|-\n\tvolfuse cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"


@app.command(
    "cp",
    cls=verb(_USAGE, 2, 2),
    help="Copy files/folders between a container and the local filesystem",
)
def cp(
    ctx: typer.Context,
    source: str,
    destination: str,
    archive: Annotated[
        bool, typer.Option("-a", "--archive", help="Archive mode (copy all uid/gid information)")
    ] = False,
    follow_link: Annotated[
        bool, typer.Option("-L", "--follow-link", help="Always follow symbol link in SRC_PATH")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Suppress progress output during copy")] = False,
) -> None:
    """Copy one way or the other; `-` is a tar stream."""
    if not source:
        raise CommandFailed("source can not be empty")
    if not destination:
        raise CommandFailed("destination can not be empty")
    here, there = Endpoint.parse(source), Endpoint.parse(destination)
    if here.container and there.container:
        raise CommandFailed("copying between containers is not supported")
    client = client_of(ctx) if here.container or there.container else None
    if client is None:
        raise CommandFailed("must specify at least one container source")
    if here.container:
        done = _from_container(client, here, there.path, follow_link)
        goal = resolve_local(there.path) if there.path != "-" else "-"
    else:
        done = _to_container(client, here.path, there, follow_link, archive)
        goal = destination
    if not quiet and done is not None and sys.stderr.isatty():
        complain(f"Successfully copied {size(done)} to {goal}")


def _from_container(client: Client, source: Endpoint, destination: str, follow: bool) -> int | None:
    path, rebase = source.path, ""
    if destination != "-":
        destination = resolve_local(destination)
        _check_output(destination)
    if follow:
        found = _stat(client, source.container, path)
        if found is not None and found["mode"] & _SYMLINK:
            target = found["linkTarget"]
            path, rebase = rebased(
                path, target if target.startswith("/") else posixpath.join(split_entry(path)[0], target)
            )
    with client.open("GET", _endpoint(source.container), {"path": path}) as reply:
        if destination == "-":
            shutil.copyfileobj(reply, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return None
        found = _decoded(reply)
        place = Place(path, True, bool(found["mode"] & _DIRECTORY), rebase)
        plan = plan_copy(place, _local_destination(destination))
        total = unpack(reply, plan.directory, plan.old, plan.new)
        reply.read()
        return total


def _check_output(path: str) -> None:
    """Refuse a destination whose directory is not there, or that is a device."""
    directory = os.path.dirname(path.rstrip("/"))
    if directory and not os.path.exists(directory):
        raise CommandFailed(f'invalid output path: directory "{directory}" does not exist')


def _local_destination(path: str) -> Place:
    try:
        resolved = os.path.realpath(path)
        found = os.path.isdir(resolved)
        exists = os.path.lexists(resolved)
    except OSError as fault:
        raise CommandFailed(f"lstat {path}: {(fault.strerror or '').lower()}") from fault
    if exists and not found and asserts_directory(path):
        raise CommandFailed("not a directory")
    return Place(resolved if exists else path, exists, found)


def _to_container(client: Client, source: str, destination: Endpoint, follow: bool, archive: bool) -> int | None:
    place = _container_destination(client, destination)
    query = {"noOverwriteDirNonDir": "true", "copyUIDGID": "true" if archive else None}
    with ExitStack() as stack:
        if source == "-":
            if not place.is_directory:
                raise CommandFailed(f'destination "{destination.container}:{destination.path}" must be a directory')
            counted = _Counted(sys.stdin.buffer)
            query["path"] = place.path
        else:
            local = local_source(resolve_local(source), follow=follow)
            plan = plan_copy(local, place)
            directory, entry = split_entry(local.path)
            name = entry if plan.new is None else plan.new
            counted = _Counted(stack.enter_context(packed(directory, entry, name)))
            query["path"] = plan.directory
        stack.enter_context(client.open("PUT", _endpoint(destination.container), query, upload=counted)).read()
    return counted.total


def _container_destination(client: Client, destination: Endpoint) -> Place:
    path = destination.path
    found = _stat(client, destination.container, path)
    if found is not None and found["mode"] & _SYMLINK:
        target = found["linkTarget"]
        path = target if target.startswith("/") else posixpath.join(split_entry(path)[0], target)
        found = _stat(client, destination.container, path)
    if found is None:
        return Place(path, False, False)
    if found["mode"] & _SPECIAL:
        raise CommandFailed(
            f'destination "{destination.container}:{destination.path}" must be a directory or a regular file'
        )
    return Place(path, True, bool(found["mode"] & _DIRECTORY))


class _Counted:
    """A stream that counts what was read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.total = 0

    def read(self, count: int, /) -> bytes:
        """Read and count."""
        data = self._stream.read(count)
        self.total += len(data)
        return data


def _endpoint(container: str) -> str:
    return f"/containers/{segment(container)}/archive"


def _stat(client: Client, container: str, path: str) -> Json:
    """Return what the daemon knows of a path, None if it is not there; a missing container shows at the transfer."""
    try:
        with client.open("HEAD", _endpoint(container), {"path": path}) as reply:
            return _decoded(reply)
    except DaemonError as fault:
        if fault.code == 404:
            return None
        raise


def _decoded(reply: HTTPResponse) -> Json:
    return json.loads(base64.b64decode(reply.headers["X-Docker-Container-Path-Stat"]))
