"""HTTP over the daemon's unix socket.

One connection a command. A path longer than a socket address allows (107 bytes, `man 7 unix`) is reached through
`/proc/self/fd` of its directory.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

__all__ = ["UnixConnection", "connect", "short_path"]

_LONGEST_PATH = 107


class UnixConnection(HTTPConnection):
    """An HTTP connection to a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("volfuse")
        self._path = path

    def connect(self) -> None:
        """Open the connection.

        Raises:
            OSError: nobody listens there.
        """
        self.sock = connect(self._path)


def connect(path: str) -> socket.socket:
    """Return a stream socket connected to a path of any length; the caller closes it."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as address:
            sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def short_path(path: str) -> Iterator[str]:
    """Give a path that fits into a socket address, good while the block lasts."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield path
        return
    directory, name = os.path.split(path)
    directory_fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory_fd}/{name}"
    finally:
        os.close(directory_fd)
