"""Publishing what was done through views that libfuse serves: by path, and by the handle for open files.

All data goes through the daemon here, so what was written is counted. Where an open file is now, its descriptor says.
"""

from __future__ import annotations

import contextlib
import os
import time

from volfuse.core.feed import ChangeKind, Through
from volfuse.core.watching import identity
from volfuse.fs.changelog import ChangeLog
from volfuse.fs.descriptors import Caller, Parent
from volfuse.fs.files import FileHandle
from volfuse.fs.openplaces import directory_of, place_of
from volfuse.fs.view import Mount, Place
from volfuse.transport.programs import Programs

__all__ = ["FusepyFeed"]


class FusepyFeed:
    """Appends to the change log of the views; private trees are nobody else's business."""

    def __init__(self, log: ChangeLog) -> None:
        self._log = log
        self._programs = Programs()
        # by number, of files open for writing: who opened it, and where it was then (while somebody watches)
        self._opened: dict[int, tuple[Caller, FileHandle, tuple[bytes, bytes] | None]] = {}
        self._written: dict[int, int] = {}  # by handle: bytes written and not published yet

    def change(self, caller: Caller, kind: ChangeKind, place: Place, detail: bytes = b"", size: int = -1) -> None:
        """Publish that something was done to a name or the file behind it."""
        if not place.mount.private:
            self._publish(caller, kind, place.mount, place.rel, -1, size, detail)

    def moved(self, caller: Caller, old: Place, new: Place) -> None:
        """Publish that a name was given another."""
        if not old.mount.private:
            self._publish(caller, ChangeKind.RENAME, old.mount, old.rel, -1, -1, b"", new.rel)

    def opened(self, caller: Caller, handle: FileHandle) -> None:
        """Remember who has opened a file for writing."""
        if not handle.mount.private and handle.flags & os.O_ACCMODE != os.O_RDONLY:
            first = directory_of(handle.fd, handle.mount.source.fd) if self._log.heard else None
            self._opened[handle.fd] = caller, handle, first

    def wrote(self, handle: int, count: int) -> None:
        """Count bytes written; none if space was allocated."""
        if handle in self._opened:
            self._written[handle] = self._written.get(handle, 0) + count

    def resized(self, caller: Caller, handle: FileHandle, size: int) -> None:
        """Publish that an open file was given another size."""
        self._of_handle(caller, ChangeKind.TRUNCATE, handle, -1, size)

    def closing(self, handle: FileHandle, *, last: bool) -> None:
        """Publish what was written through a handle, since a descriptor of it is being closed.

        Not only at the last one's closing: that is told to another thread, while the program may go on.
        """
        opened = self._opened.get(handle.fd)
        written = self._written.pop(handle.fd, None)
        if opened is not None and written is not None:
            self._of_handle(opened[0], ChangeKind.WRITE, handle, written, os.fstat(handle.fd).st_size)
        if last:
            self._opened.pop(handle.fd, None)

    def places(self, handle: FileHandle) -> list[tuple[bytes, bytes]]:
        """Return directory (its identity) and name of a file that is open for writing, while somebody watches.

        Those it was opened by, and those it has now: what is told of it may have either.
        """
        if not self._log.heard or handle.fd not in self._opened:
            return []
        _, _, first = self._opened[handle.fd]
        return [place for place in {first, directory_of(handle.fd, handle.mount.source.fd)} if place is not None]

    def closed(self, places: list[tuple[bytes, bytes]], handle: FileHandle) -> None:
        """Tell those who watch sources that a file which was open for writing is closed."""
        for place in places:
            self._log.closed((*place, handle.mount.through, 1))

    def writers(self) -> dict[tuple[bytes, bytes], list[Through]]:
        """Return what is open for writing: directory (its identity) and name, through what."""
        found: dict[tuple[bytes, bytes], list[Through]] = {}
        for _, handle, _ in list(self._opened.values()):
            with contextlib.suppress(OSError, KeyError):  # closed just now
                for place in self.places(handle):
                    found.setdefault(place, []).append(handle.mount.through)
        return found

    def _of_handle(self, caller: Caller, kind: ChangeKind, handle: FileHandle, written: int, size: int) -> None:
        rel = place_of(handle.fd, handle.mount.source.fd) if not handle.mount.private else None
        if rel is not None:
            self._publish(caller, kind, handle.mount, rel, written, size, b"")

    def _publish(
        self,
        caller: Caller,
        kind: ChangeKind,
        mount: Mount,
        rel: bytes,
        written: int,
        size: int,
        detail: bytes,
        new_rel: bytes | None = None,
    ) -> None:
        now_ns = time.time_ns()
        _, pid, command = self._programs.of(caller.pid, now_ns)
        log = self._log
        key = new_key = b""
        if log.heard:
            key = _identity(mount, rel)
            new_key = _identity(mount, new_rel) if new_rel is not None else b""
        uid, gid = caller.uid, caller.gid
        log.append(
            (now_ns, kind, mount.through, key, rel, new_key, new_rel, uid, gid, pid, command, written, size, detail)
        )
        if log.asleep:
            log.wake()


def _identity(mount: Mount, rel: bytes) -> bytes:
    """Return the identity of the directory that holds a path; empty if it is gone by now."""
    try:
        with Parent(mount.source.fd, rel) as (dirfd, _):
            status = os.fstat(dirfd)
    except OSError:
        return b""
    return identity(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
