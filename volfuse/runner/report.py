"""What a starting program says about itself: messages from the launcher's child to the daemon.

The child's end closes by itself when the program is executed, so the end of the messages without a failure is success.
"""

from __future__ import annotations

import socket

import msgspec

from volfuse.sys.fdpassing import receive_with_fds

__all__ = ["MESSAGE_BYTES", "Failure", "Terminal", "receive", "send"]

MESSAGE_BYTES = 64 * 1024


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """The program did not start.

    Attributes:
        text: Docker's words.
        exit_code: 125 daemon, 126 cannot be executed, 127 not found.
    """

    text: str
    exit_code: int


class Terminal(msgspec.Struct, frozen=True, tag="terminal"):
    """The program's terminal has been made; its master comes with the message."""


_Message = Failure | Terminal
_decoder: msgspec.json.Decoder[_Message] = msgspec.json.Decoder(_Message)


def send(channel: socket.socket, message: _Message, *fds: int) -> None:
    """Send a message, and copies of descriptors with it."""
    socket.send_fds(channel, [msgspec.json.encode(message)], fds)


def receive(channel: socket.socket) -> tuple[_Message | None, list[int]]:
    """Return the next message and the descriptors that came with it, which the caller owns; `None` at the end."""
    body, fds = receive_with_fds(channel, MESSAGE_BYTES, 4)
    return (_decoder.decode(body) if body else None), fds
