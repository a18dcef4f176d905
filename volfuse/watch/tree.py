"""A source watched from top to bottom, for the change feed: what the host does becomes records.

Each directory is watched by itself. Directories are opened by name from the one above, following no link and never
leaving the file system of the root: host mounts below a source are not followed, the daemon's own among them.

All of it runs on the watcher's thread, but for the first walk. Writing is told when a file is closed; while it stays
open, as soon as nothing comes for a moment, and at least every 50 ms.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import Final

from volfuse.core.feed import ChangeKind, Entry, Through
from volfuse.core.watching import CHANGES, WatchEvent, What, identity
from volfuse.errors import Unavailable
from volfuse.fs.watching import SourceWatcher, Watch
from volfuse.sys.openat2 import openat2
from volfuse.sys.owned import owned

__all__ = ["Scanned", "SourceTree"]

_log = logging.getLogger(__name__)

_WRITTEN_NS: Final = 50_000_000
_LIST: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ISDIR, _MODIFY, _CLOSE = int(What.ISDIR), int(What.MODIFY), int(What.CLOSE_WRITE)
_CREATE, _DELETE, _ATTRIB = int(What.CREATE), int(What.DELETE), int(What.ATTRIB)
_FROM, _TO = int(What.MOVED_FROM), int(What.MOVED_TO)

Scanned = Callable[[bytes, bytes], object | None]
"""Says who made a name (of a directory, by its identity) that was found rather than told of."""


class _Directory:
    """A watched directory; listens for itself.

    Attributes:
        found: names that were told of when the directory was found, and may be told of once more by an event.
    """

    __slots__ = ("_tree", "children", "found", "identity", "name", "parent", "watch")

    def __init__(self, tree: SourceTree, parent: _Directory | None, name: bytes, identity: bytes) -> None:
        self._tree = tree
        self.parent = parent
        self.name = name
        self.identity = identity
        self.children: dict[bytes, _Directory] = {}
        self.found: set[bytes] = set()
        self.watch: Watch | None = None

    def path(self, name: bytes = b"") -> bytes:
        """Return the path below the source of a name in this directory."""
        names = [name] if name else []
        above: _Directory | None = self
        while above is not None and above.parent is not None:
            names.append(above.name)
            above = above.parent
        return b"/".join(reversed(names))

    def all(self) -> Iterator[_Directory]:
        """Return this directory and all below."""
        stack = [self]
        while stack:
            found = stack.pop()
            yield found
            stack += found.children.values()

    def happened(self, event: WatchEvent) -> None:
        """Hear of an event."""
        self._tree._happened(self, event)

    def lost(self, reason: str) -> None:
        """Hear that events were lost."""
        self._tree._lost(reason)


class SourceTree:
    """One source, a directory.

    Args:
        through: what the records say they belong to; without a container.
        root_fd: of the source; not kept, but its directory is.
        scanned: see `Scanned`.
        ended: called once when this has stopped watching, with the reason, and whether beginning anew may help; on
            whatever thread finds out.
        limit: of directories.
    """

    def __init__(
        self,
        through: Through,
        root_fd: int,
        watcher: SourceWatcher,
        scanned: Scanned,
        ended: Callable[[str, bool], None],
        limit: int,
    ) -> None:
        self.through = through
        self._root_fd = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root_fd)
        self._watcher = watcher
        self._scanned = scanned
        self._ended = ended
        self._found: list[_Directory] = []  # those with names in `found`
        self._left = limit
        self._entries: list[Entry] = []
        self._leaving: dict[int, tuple[bytes, _Directory | None]] = {}  # by cookie: path, and what is watched there
        self._written: dict[tuple[_Directory, bytes], int] = {}  # since when (ns)
        self._closed = False
        status = os.stat(self._root_fd)
        self._device = status.st_dev
        self._root = _Directory(self, None, b"", _identity(status))

    def start(self) -> None:
        """Watch everything; what happens from now on is told.

        Raises:
            Unavailable: it cannot be watched.
        """
        with owned(self._open(b"", _LIST)) as fd:
            self._watch(self._root, fd)
            below = self._entries_of(self._root, fd, tell=False)
        self._walk(below, tell=False)

    def close(self) -> None:
        """Stop watching. May be called twice."""
        if self._closed:
            return
        self._closed = True
        for directory in self._root.all():
            if directory.watch is not None:
                directory.watch.close()
        os.close(self._root_fd)

    def take(self, *, quiet: bool) -> list[Entry]:
        """Return the records since the last call.

        Args:
            quiet: nothing has come for a moment: what waits for more has waited long enough.
        """
        if quiet:
            for directory in self._found:  # events of what was found have come, if they were to come
                directory.found.clear()
            self._found.clear()
        oldest = time.time_ns() - _WRITTEN_NS
        for place, since in list(self._written.items()):
            if quiet or since < oldest:
                self._tell_written(place)
        taken, self._entries = self._entries, []
        return taken

    # The structure.

    def _watch(self, directory: _Directory, fd: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise Unavailable("it has too many directories")
        directory.watch = self._watcher.watch(fd, directory, CHANGES, patient=True)

    def _walk(self, places: list[tuple[_Directory, bytes]], *, tell: bool) -> None:
        """Watch directories and all below, and tell of what is found in them if they are new."""
        while places:
            parent, name = places.pop()
            try:
                fd = self._open(parent.path(name), _LIST)
            except OSError:  # gone, or replaced by a link: an event says so; or its path is too long
                continue
            with owned(fd):
                status = os.fstat(fd)
                if status.st_dev != self._device:
                    continue
                directory = parent.children[name] = _Directory(self, parent, name, _identity(status))
                self._watch(directory, fd)
                places += self._entries_of(directory, fd, tell=tell)

    def _entries_of(self, directory: _Directory, fd: int, *, tell: bool) -> list[tuple[_Directory, bytes]]:
        """Tell of what is in a directory, if wanted; return the directories in it."""
        entries = _entries(fd)
        if tell and entries:
            self._found.append(directory)
            for name, is_directory in entries:
                directory.found.add(name)
                self._tell_made(directory, name, is_directory, self._scanned(directory.identity, name))
        return [(directory, name) for name, is_directory in entries if is_directory]

    def _added(self, parent: _Directory, name: bytes) -> None:
        """Watch a directory that has come, and tell of what is in it already."""
        if name not in parent.children:
            try:
                self._walk([(parent, name)], tell=True)
            except Unavailable as exc:
                self._end(str(exc), again=False)

    def _removed(self, directory: _Directory | None) -> None:
        if directory is not None:
            for below in directory.all():
                self._left += 1
                if below.watch is not None:
                    below.watch.close()

    def _open(self, path: bytes, flags: int) -> int:
        if flags & os.O_PATH:
            return openat2(self._root_fd, path or b".", flags)
        try:  # looking changes nothing
            return openat2(self._root_fd, path or b".", flags | os.O_NOATIME)
        except PermissionError:  # for the owner only; the daemon is not always root
            return openat2(self._root_fd, path or b".", flags)

    # What happens.

    def _happened(self, directory: _Directory, event: WatchEvent) -> None:
        what = event.what & ~_ISDIR
        is_directory = event.what & _ISDIR != 0
        if not event.name:
            self._itself(directory, what, event.author)
            return
        if what == _MODIFY:
            if event.author is None:
                self._written.setdefault((directory, event.name), time.time_ns())
            return
        if self._written:
            self._tell_written((directory, event.name))
        if event.author is not None and what in (_CLOSE, _ATTRIB):
            return
        if what == _CREATE:
            self._created(directory, event, is_directory)
        elif what == _DELETE:
            directory.found.discard(event.name)
            self._removed(directory.children.pop(event.name, None) if is_directory else None)
            if event.author is None:
                self._tell(ChangeKind.RMDIR if is_directory else ChangeKind.DELETE, directory.path(event.name), None)
        elif what == _FROM:
            below = directory.children.pop(event.name, None) if is_directory else None
            directory.found.discard(event.name)
            self._left_for(directory, event, is_directory, below)
        elif what == _TO:
            self._arrived(directory, event, is_directory)
        elif what == _ATTRIB:
            self._tell(ChangeKind.ATTRIB, directory.path(event.name), event.author)

    def _itself(self, directory: _Directory, what: int, author: object | None) -> None:
        """Hear of the directory itself; of all but the root the one above tells too."""
        if directory is self._root and what == _ATTRIB:
            self._tell(ChangeKind.ATTRIB, b"", author)

    def _created(self, directory: _Directory, event: WatchEvent, is_directory: bool) -> None:
        name = event.name
        if name in directory.found:  # told already when the directory was found
            directory.found.discard(name)
            return
        self._tell_made(directory, name, is_directory, event.author)
        if is_directory:
            self._added(directory, name)

    def _arrived(self, directory: _Directory, event: WatchEvent, is_directory: bool) -> None:
        name, path = event.name, directory.path(event.name)
        gone = directory.children.pop(name, None) if is_directory else None
        self._removed(gone)
        leaving = self._leaving.pop(event.cookie, None) if event.cookie else None
        if leaving is None:
            self._tell_made(directory, name, is_directory, event.author)
        else:
            old_path, below = leaving
            self._tell(ChangeKind.RENAME, old_path, event.author, path)
            if below is not None:
                below.parent, below.name = directory, name
                directory.children[name] = below
        if is_directory:
            self._added(directory, name)

    def _left_for(self, directory: _Directory, event: WatchEvent, is_directory: bool, below: _Directory | None) -> None:
        """Hear of the first half of a rename; without a second one it leads out of the source."""
        path = directory.path(event.name)
        if event.cookie:
            self._leaving[event.cookie] = path, below
            return
        self._removed(below)
        self._tell(ChangeKind.RMDIR if is_directory else ChangeKind.DELETE, path, event.author)

    def _lost(self, reason: str) -> None:
        self._end(reason, again=True)

    def _end(self, reason: str, *, again: bool) -> None:
        if not self._closed:
            self.close()
            self._ended(reason, again)

    # Records.

    def _tell_made(self, directory: _Directory, name: bytes, is_directory: bool, author: object | None) -> None:
        if author is not None:
            return
        path = directory.path(name)
        kind = ChangeKind.MKDIR if is_directory else ChangeKind.CREATE
        status = None if is_directory else self._status(path)
        if status is not None and stat.S_ISLNK(status.st_mode):
            kind = ChangeKind.SYMLINK
        self._tell(kind, path, None)

    def _tell_written(self, place: tuple[_Directory, bytes]) -> None:
        if self._written.pop(place, None) is not None:
            directory, name = place
            path = directory.path(name)
            status = self._status(path)
            self._tell(ChangeKind.WRITE, path, None, size=status.st_size if status is not None else -1)

    def _tell(
        self, kind: ChangeKind, path: bytes, author: object | None, new_path: bytes | None = None, size: int = -1
    ) -> None:
        if author is None:
            self._entries.append(
                (time.time_ns(), kind, self.through, b"", path, b"", new_path, -1, -1, -1, b"", -1, size, b"")
            )

    def _status(self, path: bytes) -> os.stat_result | None:
        with contextlib.suppress(OSError), owned(self._open(path, os.O_PATH | os.O_NOFOLLOW)) as fd:
            return os.fstat(fd)
        return None


def _entries(fd: int) -> list[tuple[bytes, bool]]:
    """Return the names in a directory, and which of them are directories."""
    try:
        with os.scandir(fd) as found:
            return [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in found]
    except OSError as exc:
        _log.info("a directory of a watched source cannot be listed: %s", exc)
        return []


def _identity(status: os.stat_result) -> bytes:
    return identity(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
