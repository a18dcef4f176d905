"""Which events of watched source directories are echoes: what was done through a view comes back from its source.

Nothing here goes by time. A change is published after it was done and so after the kernel has queued its events. So
whoever takes what is published, and then finds the queue empty, has read all events of those changes; what is still
expected then will not come, since the kernel merges equal neighbours (`forget`).

A file that a view has open for writing may be written without anybody's knowledge. Its events are that view's. When it
is closed the kernel tells so twice where data is passed through, since the daemon has it open too: once is enough. What
follows the first end of the same file is the second; if something else has happened to the file between, both are told:
whoever waits for the end of a change must not miss it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from volfuse.core.feed import ChangeKind, Entry
from volfuse.core.watching import WatchEvent, What, identity_of_key

__all__ = ["SOMEBODY", "Closing", "Echoes", "Writers"]

SOMEBODY: Final = object()
"""Author of what a view did, when it cannot be known which one."""

Writers = Callable[[bytes, bytes], Iterable[object]]
"""Returns the authors that have a name of a directory (its identity) open for writing just now."""

Closing = tuple[bytes, bytes, object, int]
"""A file that was open for writing has been closed: what the transport knows its directory by, its name, the author,
and how often the kernel may tell."""

_Key = tuple[bytes, bytes, int]

_CREATE, _DELETE, _ATTRIB, _MODIFY = int(What.CREATE), int(What.DELETE), int(What.ATTRIB), int(What.MODIFY)
_NO_DIRECTORY: Final = ~int(What.ISDIR)
_FROM, _TO, _CLOSE = int(What.MOVED_FROM), int(What.MOVED_TO), int(What.CLOSE_WRITE)
_EXPECTED: Final = {
    ChangeKind.CREATE: _CREATE,
    ChangeKind.SYMLINK: _CREATE,
    ChangeKind.LINK: _CREATE,
    ChangeKind.MKDIR: _CREATE,
    ChangeKind.DELETE: _DELETE,
    ChangeKind.RMDIR: _DELETE,
    ChangeKind.TRUNCATE: _MODIFY,
    ChangeKind.XATTR: _ATTRIB,
    ChangeKind.RENAME: _FROM,
}
"""What is told of a change."""
_SET: Final = {b"mode": _ATTRIB, b"owner": _ATTRIB, b"times": _ATTRIB, b"mtime": _MODIFY, b"flags": _ATTRIB}
"""What is told of an attribute that was set. A time alone is an access or modification (include/linux/fsnotify.h)."""


class _Expectation:
    """Events that may still come."""

    __slots__ = ("author", "left", "mark")

    def __init__(self, author: object, left: int, mark: int) -> None:
        self.author = author
        self.left = left
        self.mark = mark


class Echoes:
    """What is expected. Not safe for several threads."""

    def __init__(self) -> None:
        self._expected: dict[_Key, deque[_Expectation]] = {}
        self._ended: dict[tuple[bytes, bytes], object] = {}  # who closed what, where that was the last to be told of it
        self._mark = 0

    def __len__(self) -> int:
        return len(self._expected)

    def published(self, entry: Entry) -> None:
        """Expect the events of a change through a view."""
        _, kind, through, key, path, new_key, new_path = entry[:7]
        detail = entry[-1]
        if not key or not through.container:
            return
        directory, name = identity_of_key(key), _name(path)
        if kind is ChangeKind.ATTRIB:
            for attribute in detail.split(b","):
                if attribute in _SET:
                    self._expect(directory, name, _SET[attribute], through, 1)
        elif kind in _EXPECTED:
            self._expect(directory, name, _EXPECTED[kind], through, 1)
        if new_path is not None:
            new_directory, new_name = identity_of_key(new_key), _name(new_path)
            self._expect(new_directory, new_name, _TO, through, 1)
            if detail:  # swapped
                self._expect(new_directory, new_name, _FROM, through, 1)
                self._expect(directory, name, _TO, through, 1)

    def closed(self, closing: Closing) -> None:
        """Expect the events of a file that has been closed."""
        key, name, author, times = closing
        self._expect(identity_of_key(key), name, _CLOSE, author, times)

    def mark(self) -> int:
        """Return a number for all that is expected now."""
        return self._mark

    @property
    def is_closing(self) -> bool:
        """Whether the end of an open file was told that may be told again."""
        return bool(self._ended)

    def forget(self, mark: int, writers: Writers) -> None:
        """Drop what was expected by then: nothing is queued any more that was queued before.

        Args:
            writers: what was open for writing before the last closings were published here.
        """
        for key, queue in list(self._expected.items()):
            while queue and queue[0].mark <= mark:
                queue.popleft()
            if not queue:
                del self._expected[key]
        for (directory, name), author in list(self._ended.items()):
            if (directory, name, _CLOSE) not in self._expected and author not in writers(directory, name):
                del self._ended[directory, name]

    def author(self, directory: bytes, event: WatchEvent, writers: Writers) -> WatchEvent | None:
        """Return an event with its author; None if it only repeats another."""
        what = event.what & _NO_DIRECTORY
        if what == _CLOSE:
            return self._closing(directory, event, writers)
        self._ended.pop((directory, event.name), None)
        expectation = self._take((directory, event.name, what))
        if expectation is not None:
            return _by(expectation.author, event)
        if what == _MODIFY:
            closed = self._expected.get((directory, event.name, _CLOSE))
            return _by(closed[0].author if closed else _one(writers(directory, event.name)), event)
        return event

    def _closing(self, directory: bytes, event: WatchEvent, writers: Writers) -> WatchEvent | None:
        expectation = self._take((directory, event.name, _CLOSE))
        author = expectation.author if expectation is not None else _one(writers(directory, event.name))
        if author is None:
            return event
        place = directory, event.name
        if self._ended.get(place) is author:
            return None
        self._ended[place] = author
        return _by(author, event)

    def _expect(self, directory: bytes, name: bytes, what: int, author: object, times: int) -> None:
        self._mark += 1
        queue = self._expected.setdefault((directory, name, what), deque())
        queue.append(_Expectation(author, times, self._mark))

    def _take(self, key: _Key) -> _Expectation | None:
        queue = self._expected.get(key)
        if not queue:
            return None
        expectation = queue[0]
        expectation.left -= 1
        if expectation.left <= 0:
            queue.popleft()
            if not queue:
                del self._expected[key]
        return expectation


def _by(author: object | None, event: WatchEvent) -> WatchEvent:
    name, what, cookie, _, other = event
    return WatchEvent(name, what, cookie, author, other)


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _one(authors: Iterable[object]) -> object | None:
    """Return the one author, `SOMEBODY` where there are several, None where there is none."""
    found = set(authors)
    return None if not found else found.pop() if len(found) == 1 else SOMEBODY
