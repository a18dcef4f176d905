"""The user's streams connected with those of a container or exec.

The main thread reads the connection and writes output, blocking: who reads slowly slows the program down. A second
thread passes input on, so that neither direction waits for the other. Both move large pieces without keeping them.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from contextlib import ExitStack
from enum import Enum
from types import TracebackType
from typing import Self, TextIO

from volfuse.cli.failure import CommandFailed
from volfuse.cli.frames import Feed
from volfuse.cli.output import complain
from volfuse.cli.signals import start_unsignalled
from volfuse.cli.terminal import is_terminal, raw_mode
from volfuse.cli.upgrade import Stream
from volfuse.core.detachkeys import DEFAULT_KEYS, KeyWatch, parse_keys
from volfuse.errors import InvalidSpec

__all__ = ["Connected", "Ending", "refuse_detached"]

_PIECE_BYTES = 1 << 20


class Ending(Enum):
    """How a connection ended."""

    CLOSED = "closed"
    """By the daemon: all output came."""

    DETACHED = "detached"
    """The user typed the keys."""


class Connected:
    """Streams that are connected; a context manager that disconnects them and gives the terminal back.

    Args:
        stream: the connection, closed by the block's end.
        stdin: what to send; None for nothing, which the other side learns at once.
        output: what takes output; None if none is wanted.
        tty: the other side is a terminal: keys pass as they are typed, and those that detach are looked for.
        keys: what detaches, as the user wrote it; empty for ctrl-p,ctrl-q.
    """

    def __init__(
        self, stream: Stream, *, stdin: TextIO | None, output: Feed | None, tty: bool = False, keys: str = ""
    ) -> None:
        self._stream = stream
        self._stdin_fd = None if stdin is None else stdin.fileno()
        self._output = output
        self._raw = tty and is_terminal(stdin)
        self._watch = KeyWatch(_keys(keys)) if tty else None
        self._detached = False  # written by the input thread before it cuts the connection or sets `over`
        self._fault: OSError | None = None  # likewise
        self._stop_fd = -1
        self._thread: threading.Thread | None = None
        self._owned = ExitStack()
        self.over = threading.Event()
        """Ends `run` where no output is wanted."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._stream.close)
            if self._stdin_fd is None:
                self._stream.end_input()
            else:
                self._begin_input(stack, self._stdin_fd)
            self._owned = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._owned.close()

    def run(self) -> Ending:
        """Pass output on until the daemon closes the connection or the user detaches; then the terminal is as before.

        Raises:
            CommandFailed: the daemon reports a fault in the stream.
            OSError: output cannot be written, or the connection broke.
        """
        if self._output is None:
            self.over.wait()
        else:
            self._pass_output(self._output)
        self._owned.close()
        if self._fault is not None:
            raise self._fault
        return Ending.DETACHED if self._detached else Ending.CLOSED

    def _pass_output(self, output: Feed) -> None:
        buffer = memoryview(bytearray(_PIECE_BYTES))
        while count := self._stream.read_into(buffer):
            output.feed(buffer[:count])

    def _begin_input(self, stack: ExitStack, stdin_fd: int) -> None:
        if self._raw:
            stack.enter_context(raw_mode(stdin_fd))
        self._stop_fd = os.eventfd(0)
        stack.callback(os.close, self._stop_fd)
        self._thread = threading.Thread(target=self._pass_input, args=(stdin_fd,), name="input", daemon=True)
        start_unsignalled(self._thread)
        stack.callback(self._stop_input, self._thread)

    def _stop_input(self, thread: threading.Thread) -> None:
        self._stream.cut()
        os.eventfd_write(self._stop_fd, 1)
        thread.join()

    def _pass_input(self, stdin_fd: int) -> None:
        poller = select.poll()
        poller.register(stdin_fd, select.POLLIN)
        poller.register(self._stop_fd, select.POLLIN)
        buffer = memoryview(bytearray(_PIECE_BYTES))
        try:
            while self._stop_fd not in (fd for fd, _ in poller.poll()):
                count = _read(stdin_fd, buffer)
                if not count or not self._send(buffer[:count]):
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever reads the connection learns it too
        except OSError as fault:
            self._fault = fault
            self._stream.cut()
        if not self._detached:
            self._stream.end_input()
        self.over.set()

    def _send(self, data: memoryview) -> bool:
        """Send input; False if it had the keys that detach."""
        if self._watch is None:
            self._stream.send(data)
            return True
        passed, self._detached = self._watch.feed(bytes(data))
        self._stream.send(passed)
        if self._detached:
            self._stream.cut()
        return not self._detached


def refuse_detached(ending: Ending) -> None:
    """Report that the user detached.

    Raises:
        CommandFailed: so it is.
    """
    if ending is Ending.DETACHED:
        raise CommandFailed("read escape sequence")


def _read(fd: int, buffer: memoryview) -> int:
    """Read input; a terminal that was hung up is at its end."""
    try:
        return os.readv(fd, [buffer])
    except OSError as fault:
        if fault.errno == errno.EIO:
            return 0
        raise


def _keys(text: str) -> bytes:
    try:
        return parse_keys(text) if text else DEFAULT_KEYS
    except InvalidSpec as fault:
        complain(f"invalid detach escape keys, using default: {fault}")
        return DEFAULT_KEYS
