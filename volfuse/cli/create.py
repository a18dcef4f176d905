"""create: make a container; `run` makes its own in the same way."""

from __future__ import annotations

import os
from collections.abc import Callable

import typer

from volfuse.cli.client import Client
from volfuse.cli.command import verb
from volfuse.cli.containerconfig import container_config
from volfuse.cli.containeroptions import CHECKS, CreateOptions, takes
from volfuse.cli.failure import CommandFailed, DaemonError, UsageFault
from volfuse.cli.jsontypes import Json
from volfuse.cli.output import complain, say
from volfuse.cli.session import client_of
from volfuse.errors import InvalidSpec

__all__ = ["configured", "make_container"]

app = typer.Typer()


@app.command(
    "create",
    cls=verb("IMAGE [COMMAND] [ARG...]", 1, None, interspersed=False, checks=CHECKS),
    help="Create a new container",
)
@takes(CreateOptions)
def create(ctx: typer.Context, options: CreateOptions) -> None:
    """Create a container and print its id."""
    say(make_container(client_of(ctx), options, configured(options)))


def configured(options: CreateOptions) -> dict[str, Json]:
    """Return the request's body.

    Raises:
        UsageFault: the options are wrong.
    """
    try:
        if options.pull not in ("always", "missing", "never", ""):
            raise InvalidSpec(f'invalid pull option: \'{options.pull}\': must be one of "always", "missing" or "never"')
        return container_config(options)
    except InvalidSpec as fault:
        raise UsageFault(f"volfuse: {fault}", usage=False) from fault


def make_container(client: Client, options: CreateOptions, body: dict[str, Json]) -> str:
    """Create a container, show the daemon's warnings, and return the id.

    Raises:
        CommandFailed: the daemon refused, or the id cannot be written to its file.
    """
    reply = _recorded(options.cidfile, lambda: _request(client, options, body))
    for warning in reply.get("Warnings") or []:
        complain(f"WARNING: {warning}")
    return str(reply["Id"])


def _request(client: Client, options: CreateOptions, body: dict[str, Json]) -> Json:
    try:
        return client.post(
            "/containers/create", {"name": options.name or None, "platform": options.platform or None}, body
        )
    except DaemonError as fault:
        if options.pull != "never" and not options.quiet and _is_unknown_image(fault):
            complain(f"Unable to find image '{_tagged(options.image)}' locally")
        raise


def _is_unknown_image(fault: DaemonError) -> bool:
    return fault.code == 404 and "no such image" in fault.message.lower()


def _tagged(image: str) -> str:
    return image if ":" in image.rsplit("/", 1)[-1] or "@" in image else f"{image}:latest"


def _recorded(path: str, make: Callable[[], Json]) -> Json:
    """Make the container and write its id to a file.

    The file is made before the container, so that a path that cannot be written creates nothing; without a container
    it does not stay.
    """
    if not path:
        return make()
    try:
        with open(path, "x", encoding="ascii") as target:
            reply = make()
            target.write(reply["Id"])
            return reply
    except FileExistsError as fault:
        raise CommandFailed(
            f"container ID file found, make sure the other container isn't running or delete {path}"
        ) from fault
    except OSError as fault:
        raise CommandFailed(
            f"failed to create the container ID file: open {path}: {(fault.strerror or '').lower()}"
        ) from fault
    except CommandFailed:
        os.unlink(path)
        raise
