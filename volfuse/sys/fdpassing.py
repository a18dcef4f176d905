"""Descriptors sent over unix sockets (unix(7), SCM_RIGHTS)."""

from __future__ import annotations

import array
import os
import socket

__all__ = ["receive_with_fds"]


def receive_with_fds(channel: socket.socket, max_bytes: int, max_fds: int) -> tuple[bytes, list[int]]:
    """Receive bytes and the descriptors that come with them, which the caller owns and no program inherits.

    `socket.recv_fds` ignores its flags in Python 3.11, so descriptors would leak into programs.
    """
    fds = array.array("i")
    body, control, _flags, _address = channel.recvmsg(
        max_bytes, socket.CMSG_SPACE(max_fds * fds.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, content in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    for fd in fds:
        os.set_inheritable(fd, False)
    return body, list(fds)
