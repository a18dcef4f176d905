"""What all verbs of one command share: the places, and the client that connects when it is first used."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import cast

import typer

from volfuse.cli.client import Client
from volfuse.cli.connection import connect
from volfuse.cli.failure import CommandFailed
from volfuse.cli.output import complain
from volfuse.core.locations import Locations, locate

__all__ = ["Session", "client_of", "each", "session_of"]


class Session:
    """One run of the command.

    Args:
        root: value of `--root`.
        socket: value of `--socket`.
    """

    def __init__(self, root: str | None, socket: str | None) -> None:
        found = locate(os.geteuid(), os.environ, root, socket)
        self.places = Locations(os.path.abspath(found.root), os.path.abspath(found.socket))

    @cached_property
    def client(self) -> Client:
        """The client; it starts a daemon if there is none, unless VOLFUSE_AUTOSTART is 0."""
        return Client(self.places.socket, None if os.environ.get("VOLFUSE_AUTOSTART") == "0" else self._start)

    def close(self) -> None:
        """Drop the connection, if one was made."""
        if "client" in self.__dict__:
            self.client.close()

    def running(self) -> bool:
        """Tell whether a daemon answers at the socket."""
        try:
            connect(self.places.socket).close()
        except OSError:
            return False
        return True

    def _start(self) -> None:
        from volfuse.cli.autostart import start_daemon

        start_daemon(self.places)


def session_of(ctx: typer.Context) -> Session:
    """Return the session that the root command made."""
    return cast(Session, ctx.find_root().obj)


def client_of(ctx: typer.Context) -> Client:
    """Return the session's client."""
    return session_of(ctx).client


def each(names: Iterable[str], action: Callable[[str], object]) -> int:
    """Do something to each name, go on after failures, and report these at the end.

    Returns:
        1 if any failed, else 0.
    """
    failures: list[CommandFailed] = []
    for name in names:
        try:
            action(name)
        except CommandFailed as fault:
            failures.append(fault)
    if failures:
        sys.stdout.flush()
    for failure in failures:
        complain(failure)
    return 1 if failures else 0
