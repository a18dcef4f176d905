"""Requests that turn their connection into a two-way stream ("hijack").

The daemon answers 101 and both sides then send raw bytes. Each side can end its direction alone (half-close).

Source: Docker's Engine API, ContainerAttach, "Hijacking".
"""

from __future__ import annotations

import socket
from contextlib import suppress
from http.client import HTTPResponse

__all__ = ["UPGRADE", "Stream"]

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
"""Headers of the request."""


class Stream:
    """A connection after the upgrade; owns the socket.

    Args:
        sock: the connection.
        reply: the answer 101, whose reader may hold the first bytes of the stream already.
    """

    def __init__(self, sock: socket.socket, reply: HTTPResponse) -> None:
        self._sock = sock
        self._reply = reply
        self._first = _buffered(sock, reply)

    def read_into(self, buffer: memoryview) -> int:
        """Wait for bytes, and return how many came; 0 at the end."""
        if self._first:
            count = min(len(self._first), len(buffer))
            buffer[:count] = self._first[:count]
            self._first = self._first[count:]
            return count
        return self._sock.recv_into(buffer)

    def send(self, data: bytes | memoryview) -> None:
        """Send all of it.

        Raises:
            OSError: the other side is gone.
        """
        self._sock.sendall(data)

    def end_input(self) -> None:
        """Say that nothing more will be sent; a peer that is gone already need not be told."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End both directions; whoever waits in another thread sees the end."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the connection up."""
        self.cut()
        self._reply.close()
        self._sock.close()


def _buffered(sock: socket.socket, reply: HTTPResponse) -> bytes:
    """Take what came together with the head of the reply, without waiting for more."""
    sock.setblocking(False)
    try:
        return bytes(reply.fp.peek())
    finally:
        sock.setblocking(True)
