"""The change log: what was done through views, until the feed takes it.

Transports append here, on the thread that serves the request, before they reply. That is all a request pays: one tuple
and one `append`, which in CPython is a single step. Everything else happens where the log is taken.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from volfuse.core.echoes import Closing
from volfuse.core.feed import Entry

__all__ = ["ChangeLog"]


class ChangeLog:
    """What was done and has not been taken yet, in order.

    Attributes:
        append: adds an `Entry`.
        asleep: whoever takes waits to be woken; test it after `append`, and call `wake`.
        heard: somebody watches sources: fill in directories, and tell of the ends of files open for writing too.
        closed: adds a `Closing`, while `heard`.
    """

    __slots__ = ("_closings", "_entries", "_wake", "append", "asleep", "closed", "heard")

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._closings: deque[Closing] = deque()
        self.closed: Final = self._closings.append
        self.append: Final = self._entries.append
        self.asleep = False
        self.heard = False
        self._wake = threading.Event()

    def __len__(self) -> int:
        """Return how many have not been taken."""
        return len(self._entries)

    def take(self) -> list[Entry]:
        """Take all there is. For one thread at a time."""
        popleft = self._entries.popleft
        return [popleft() for _ in range(len(self._entries))]

    def take_closings(self) -> list[Closing]:
        """Take what `closed` has added."""
        popleft = self._closings.popleft
        return [popleft() for _ in range(len(self._closings))]

    def wake(self) -> None:
        """Wake whoever waits."""
        self.asleep = False
        self._wake.set()

    def wait(self) -> None:
        """Wait until there may be something to take, or `wake` is called."""
        self._wake.clear()
        self.asleep = True
        if not self._entries:
            self._wake.wait()
        self.asleep = False
