"""HTTP over the daemon's unix socket.

One connection a command. A path longer than a socket address allows (107 bytes, `man 7 unix`) is reached through
`/proc/self/fd` of its directory.
"""

from __future__ import annotations

import os
import socket
from http.client import HTTPConnection

__all__ = ["UnixConnection", "connect"]

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
        if len(os.fsencode(path)) <= _LONGEST_PATH:
            sock.connect(path)
        else:
            _connect_below(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_below(sock: socket.socket, path: str) -> None:
    directory, name = os.path.split(path)
    directory_fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{directory_fd}/{name}")
    finally:
        os.close(directory_fd)
