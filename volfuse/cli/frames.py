"""Output of a container: taken apart if its streams share a connection, and written as it comes.

Without a terminal each piece of output has a head of eight bytes: which stream, three zeros, length (big-endian).
Payloads go to their stream without waiting for the end of their frame.

Source: Docker's Engine API, ContainerAttach; moby pkg/stdcopy.
"""

from __future__ import annotations

import io
import select
import struct
import sys
from typing import Protocol, TextIO

from volfuse.cli.failure import CommandFailed

__all__ = ["Feed", "Frames", "Sink", "consumer"]

_HEAD = struct.Struct(">BxxxL")
_STDIN, _STDOUT, _STDERR, _FAULT = range(4)


class Feed(Protocol):
    """Takes what came over a connection."""

    def feed(self, chunk: memoryview) -> None:
        """Take the next bytes, which are valid during the call only."""
        ...


class Sink:
    """One of the standard streams, written to at once and whole.

    Args:
        stream: what `print` writes to; text written to it before comes first.
    """

    def __init__(self, stream: TextIO) -> None:
        stream.flush()
        raw: io.RawIOBase | None = getattr(stream.buffer, "raw", None)
        self._raw = raw or stream.buffer

    def feed(self, chunk: memoryview) -> None:
        """Write bytes.

        Raises:
            OSError: the stream does not take them.
        """
        while chunk:
            written = self._raw.write(chunk)
            if written is None:  # somebody has set the terminal or pipe to not block (O_NONBLOCK)
                _await_room(self._raw.fileno())
            else:
                chunk = chunk[written:]


def _await_room(fd: int) -> None:
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    poller.poll()


def consumer(*, tty: bool, stdout: bool = True, stderr: bool = True) -> Feed:
    """Return what writes a container's output.

    Args:
        tty: it comes from a terminal, where there is only one stream.
        stdout: standard output is wanted.
        stderr: standard error is wanted.
    """
    if tty:
        return Sink(sys.stdout)
    return Frames(Sink(sys.stdout) if stdout else None, Sink(sys.stderr) if stderr else None)


class Frames:
    """Takes multiplexed streams apart.

    Args:
        stdout: where standard output goes; None to drop it.
        stderr: likewise.
    """

    def __init__(self, stdout: Feed | None, stderr: Feed | None) -> None:
        self._targets = {_STDIN: stdout, _STDOUT: stdout, _STDERR: stderr}
        self._head = b""
        self._stream = _STDOUT
        self._left = 0
        self._fault = b""

    def feed(self, chunk: memoryview) -> None:
        """Take bytes that begin and end anywhere in a frame.

        Raises:
            CommandFailed: the daemon reports a fault, or these are no frames.
        """
        parts: list[memoryview] = []
        current = self._stream
        while chunk:
            if not self._left:
                chunk = self._begin(chunk)
                if self._stream != current:
                    self._pass_on(current, parts)
                    parts, current = [], self._stream
            part = chunk[: self._left]
            if part:
                parts.append(part)
                self._left -= len(part)
                chunk = chunk[len(part) :]
        self._pass_on(current, parts)

    def _begin(self, chunk: memoryview) -> memoryview:
        """Take a head, or as much of it as there is, from the front."""
        missing = _HEAD.size - len(self._head)
        self._head += bytes(chunk[:missing])
        if len(self._head) == _HEAD.size:
            self._stream, self._left = _HEAD.unpack(self._head)
            self._head = b""
            if self._stream > _FAULT:
                raise CommandFailed(f"Unrecognized input header: {self._stream}")
        return chunk[missing:]

    def _pass_on(self, stream: int, parts: list[memoryview]) -> None:
        if not parts:
            return
        if stream == _FAULT:
            self._fault += b"".join(parts)
            if not self._left:
                raise CommandFailed(f"error from daemon in stream: {self._fault.decode(errors='replace')}")
            return
        target = self._targets[stream]
        if target is not None:
            target.feed(parts[0] if len(parts) == 1 else memoryview(b"".join(parts)))
