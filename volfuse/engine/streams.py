"""Standard streams of a program, shared by those who are attached to it.

The runner moves bytes between these objects and pipes or a terminal; the API between them and its clients. Neither
blocks the other: a reader that falls behind makes `publish` say that there is no room, and the runner stops reading
the program's output until there is. Safe to use from any thread; callbacks are called without a lock held, must be
quick and must not raise.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection

__all__ = ["STDERR", "STDOUT", "Attachment", "Input", "Output"]

STDOUT = 1
STDERR = 2

_BEHIND_BYTES = 1024 * 1024
"""How far an attached reader may fall behind."""

_INPUT_BYTES = 256 * 1024


class Attachment:
    """One reader of a program's output. What it has not taken yet waits here."""

    def __init__(self, output: Output, wake: Callable[[], None], streams: Collection[int]) -> None:
        self._output = output
        self._wake = wake
        self._streams = frozenset(streams)
        self._pending: deque[tuple[int, bytes]] = deque()  # guarded by the output's lock
        self._size = 0  # guarded by the output's lock
        self._ended = False  # guarded by the output's lock

    @property
    def ended(self) -> bool:
        """Whether nothing more will come; what is pending can still be taken."""
        return self._ended

    def take(self) -> list[tuple[int, bytes]]:
        """Return what has come since the last call, with the numbers of the streams, without waiting."""
        return self._output._take(self)

    def close(self) -> None:
        """Stop reading."""
        self._output._remove(self)


class Output:
    """The output of one program: its log, if it has one, and those who are attached."""

    def __init__(self, log: Callable[[int, bytes], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._log = log
        self._attached: list[Attachment] = []  # guarded by _lock
        self._ended = False  # guarded by _lock
        self._full = False  # guarded by _lock: publish has said that there is no room
        self._on_room: Callable[[], None] = _nothing

    def listen(self, on_room: Callable[[], None]) -> None:
        """Say what to call when there is room again after `publish` said that there is none."""
        self._on_room = on_room

    def attach(self, wake: Callable[[], None], streams: Collection[int] = (STDOUT, STDERR)) -> Attachment:
        """Begin to read what comes from now on; `wake` is called when there is something to take, or the end."""
        attachment = Attachment(self, wake, streams)
        with self._lock:
            if self._ended:
                attachment._ended = True
            else:
                self._attached.append(attachment)
        return attachment

    def publish(self, stream: int, chunk: bytes) -> bool:
        """Take output of the program; called by one thread only.

        Returns:
            bool: whether there is room for more.
        """
        if self._log is not None:
            self._log(stream, chunk)
        with self._lock:
            readers = [a for a in self._attached if stream in a._streams]
            for attachment in readers:
                attachment._pending.append((stream, chunk))
                attachment._size += len(chunk)
            self._full = self._is_full()
            room = not self._full
        for attachment in readers:
            attachment._wake()
        return room

    def end(self) -> None:
        """Say that nothing more will come."""
        with self._lock:
            self._ended = True
            readers, self._attached = self._attached, []
            for attachment in readers:
                attachment._ended = True
        for attachment in readers:
            attachment._wake()

    def _is_full(self) -> bool:
        return any(a._size >= _BEHIND_BYTES for a in self._attached)

    def _take(self, attachment: Attachment) -> list[tuple[int, bytes]]:
        with self._lock:
            taken = list(attachment._pending)
            attachment._pending.clear()
            attachment._size = 0
            again = self._room_again()
        if again:
            self._on_room()
        return taken

    def _remove(self, attachment: Attachment) -> None:
        with self._lock:
            attachment._ended = True
            if attachment in self._attached:
                self._attached.remove(attachment)
            again = self._room_again()
        if again:
            self._on_room()

    def _room_again(self) -> bool:
        if self._full and not self._is_full():
            self._full = False
            return True
        return False


class Input:
    """What goes to a program's standard input; it may be written before the program runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: deque[memoryview] = deque()  # guarded by _lock
        self._size = 0  # guarded by _lock
        self._ended = False  # guarded by _lock
        self._waiting: list[Callable[[], None]] = []  # guarded by _lock
        self._on_change: Callable[[], None] = _nothing

    def listen(self, on_change: Callable[[], None]) -> None:
        """Say what to call when there is something to write, or the end; called once at once."""
        self._on_change = on_change
        on_change()

    def write(self, chunk: bytes, wake: Callable[[], None]) -> bool:
        """Add bytes, however many; what comes after the end is dropped.

        Returns:
            bool: whether there is room for more; if not, `wake` is called when there is.
        """
        with self._lock:
            if self._ended:
                return True
            if chunk:
                self._pending.append(memoryview(chunk))
                self._size += len(chunk)
            room = self._size < _INPUT_BYTES
            if not room:
                self._waiting.append(wake)
        self._on_change()
        return room

    def end(self) -> None:
        """Close the input behind what has been written."""
        with self._lock:
            self._ended = True
        self._on_change()

    def abandon(self) -> None:
        """Drop everything: the program reads no more. Whoever waits for room goes on."""
        with self._lock:
            self._ended = True
            self._pending.clear()
            self._size = 0
            waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    def peek(self) -> tuple[memoryview | None, bool]:
        """Return the next bytes to write, if any, and whether the end comes after all that is pending."""
        with self._lock:
            return (self._pending[0] if self._pending else None), self._ended

    def advance(self, count: int) -> None:
        """Strike off bytes that were written, of the chunk that `peek` gave."""
        with self._lock:
            if not self._pending:
                return
            first = self._pending[0]
            if count < len(first):
                self._pending[0] = first[count:]
            else:
                self._pending.popleft()
            self._size -= count
            waiting: list[Callable[[], None]] = []
            if self._size < _INPUT_BYTES // 2:
                waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()


def _nothing() -> None:
    return None
