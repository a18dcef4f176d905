"""A source that cannot be watched, looked at again and again: watchdog's snapshots, compared.

This is the one module that imports watchdog. Snapshots are of paths below the source; each is opened beneath it,
through no link, and file systems that the host has mounted below are left out.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from watchdog.utils.dirsnapshot import DirectorySnapshot, DirectorySnapshotDiff

from volfuse.core.feed import ChangeKind, Entry, Through
from volfuse.sys.openat2 import openat2
from volfuse.sys.owned import owned

__all__ = ["PolledSource"]

_log = logging.getLogger(__name__)

_LEAST_S: Final = 1.0
_SHARE: Final = 10
"""A look may take the tenth part of the time."""
_ROOT: Final = "."


class PolledSource:
    """One source, a directory, on a thread of its own.

    A path that a view has changed since the last look but one is left out: it cannot be told who did what between two
    looks.

    Args:
        through: what the records say they belong to; without a container.
        root_fd: of the source; not kept, but its directory is.
        emit: takes the records of one look.
        changed: returns the paths (bytes, below the source) that views have changed since its last call.
    """

    def __init__(
        self,
        through: Through,
        root_fd: int,
        emit: Callable[[list[Entry]], None],
        changed: Callable[[], Collection[bytes]],
        interval_s: float = _LEAST_S,
    ) -> None:
        self.through = through
        self._root_fd = os.open(b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root_fd)
        self._device = os.stat(self._root_fd).st_dev
        self._emit = emit
        self._changed = changed
        self._interval_s = interval_s
        self._last: DirectorySnapshot | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="volfuse-poll", daemon=True)

    def start(self) -> None:
        """Look for the first time; what is done from then on is told."""
        self._last = self._look()
        self._thread.start()

    def close(self) -> None:
        """Stop. May be called twice."""
        if not self._stop.is_set():
            self._stop.set()
            if self._thread.is_alive():
                self._thread.join()
            os.close(self._root_fd)

    def _run(self) -> None:
        before: Collection[bytes] = ()
        took_s = 0.0
        while not self._stop.wait(max(self._interval_s, took_s * _SHARE)):
            begin = time.monotonic()
            now, last = self._look(), self._last
            ours = self._changed()
            if now is not None and last is not None:
                self._emit(list(self._records(DirectorySnapshotDiff(last, now), {*before, *ours})))
            before, self._last = ours, now or last
            took_s = time.monotonic() - begin

    def _look(self) -> DirectorySnapshot | None:
        try:
            return DirectorySnapshot(_ROOT, recursive=True, stat=self._stat, listdir=self._list)
        except OSError as exc:
            _log.warning("a source cannot be looked at: %s", exc)
            return None

    def _records(self, found: DirectorySnapshotDiff, ours: set[bytes]) -> Iterator[Entry]:
        for kind, paths in (
            (ChangeKind.DELETE, found.files_deleted),
            (ChangeKind.RMDIR, sorted(found.dirs_deleted, reverse=True)),
            (ChangeKind.RENAME, [*found.dirs_moved, *found.files_moved]),
            (ChangeKind.MKDIR, sorted(found.dirs_created)),
            (ChangeKind.CREATE, found.files_created),
            (ChangeKind.WRITE, found.files_modified),
            (ChangeKind.ATTRIB, [*found.files_attrib, *found.dirs_attrib]),
        ):
            for path in paths:
                old, new = path if isinstance(path, tuple) else (path, None)
                old_path, new_path = _below(old), None if new is None else _below(new)
                if old_path not in ours and (new_path is None or new_path not in ours):
                    yield self._record(kind, old_path, new_path)

    def _record(self, kind: ChangeKind, path: bytes, new_path: bytes | None) -> Entry:
        return (time.time_ns(), kind, self.through, b"", path, b"", new_path, -1, -1, -1, b"", -1, -1, b"")

    def _stat(self, path: str) -> os.stat_result:
        with owned(openat2(self._root_fd, os.fsencode(path), os.O_PATH | os.O_NOFOLLOW)) as fd:
            return os.fstat(fd)

    def _list(self, path: str | None) -> Iterator[Any]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        with owned(openat2(self._root_fd, os.fsencode(path or _ROOT), flags)) as fd:
            status = os.fstat(fd)
            if status.st_dev != self._device or not stat.S_ISDIR(status.st_mode):
                return iter(())
            with os.scandir(fd) as entries:
                return iter(list(entries))


def _below(path: bytes | str) -> bytes:
    """Return a path below the source: snapshots begin with `./`."""
    text = os.fsencode(path)
    return b"" if text == b"." else text.removeprefix(b"./")
