"""Moving bytes between a program's descriptors and `engine.streams`, on the runner's thread."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from volfuse.engine.streams import Input, Output
from volfuse.runner.loop import READ, WRITE, Loop

__all__ = ["InputPump", "OutputPump"]

_CHUNK_BYTES = 64 * 1024


class OutputPump:
    """Reads one descriptor, which it owns, until its end. The thread of the loop only, except `finish`.

    Args:
        done: called once, after the last bytes were published.
    """

    def __init__(self, loop: Loop, fd: int, stream: int, output: Output, done: Callable[[], None]) -> None:
        self._loop = loop
        self._fd = fd
        self._stream = stream
        self._output = output
        self._done = done
        self._to_be_emptied = False
        self._paused = False
        os.set_blocking(fd, False)

    def start(self) -> None:
        """Read, or go on reading after there was no room."""
        self._paused = False
        if self._fd >= 0:
            self._loop.watch(self._fd, READ, self._ready)
            if self._to_be_emptied:
                self._empty()

    def finish(self) -> None:
        """Stop as soon as there is nothing to read, rather than at the end: the program has ended."""
        self._to_be_emptied = True
        self._empty()

    def _empty(self) -> None:
        while self._fd >= 0 and not self._paused:
            self._ready()

    def _ready(self) -> None:
        try:
            chunk = os.read(self._fd, _CHUNK_BYTES)
        except BlockingIOError:
            if self._to_be_emptied:
                self._close()
            return
        except OSError as exc:
            if exc.errno != errno.EIO:  # a terminal whose programs have all ended
                self._close()
                raise
            chunk = b""
        if not chunk:
            self._close()
        elif not self._output.publish(self._stream, chunk):
            self._paused = True
            self._loop.unwatch(self._fd)

    def _close(self) -> None:
        self._loop.unwatch(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._done()


class InputPump:
    """Writes an input to a descriptor, which it owns. The thread of the loop only.

    Args:
        half_open: at the input's end close the descriptor; a terminal stays open.
    """

    def __init__(self, loop: Loop, fd: int, source: Input, *, half_open: bool) -> None:
        self._loop = loop
        self._fd = fd
        self._source = source
        self._half_open = half_open
        os.set_blocking(fd, False)

    def write(self) -> None:
        """Write what there is, as far as there is room."""
        while self._fd >= 0:
            chunk, ended = self._source.peek()
            if chunk is None:
                if ended and self._half_open:
                    self.close()
                else:
                    self._loop.unwatch(self._fd)
                return
            try:
                self._source.advance(os.write(self._fd, chunk[:_CHUNK_BYTES]))
            except BlockingIOError:
                self._loop.watch(self._fd, WRITE, self.write)
                return
            except OSError as exc:
                self.close()
                if exc.errno not in (errno.EPIPE, errno.EIO):
                    raise
                return

    def close(self) -> None:
        """Stop writing; what is left is dropped."""
        if self._fd >= 0:
            self._loop.unwatch(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._source.abandon()
