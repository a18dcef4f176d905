"""Publishing what was done through views that libfuse serves: by path, and by the handle for open files.

All data goes through the daemon here, so what was written is counted. Where an open file is now, its descriptor says.
"""

from __future__ import annotations

import os
import time

from volfuse.core.feed import ChangeKind
from volfuse.core.watching import directory_identity
from volfuse.fs.changelog import ChangeLog
from volfuse.fs.descriptors import Caller, Parent
from volfuse.fs.files import FileHandle
from volfuse.fs.view import Mount, Place
from volfuse.transport.programs import Programs

__all__ = ["FusepyFeed"]


class FusepyFeed:
    """Appends to the change log of the views; private trees are nobody else's business."""

    def __init__(self, log: ChangeLog) -> None:
        self._log = log
        self._programs = Programs()
        self._opened: dict[int, Caller] = {}  # by handle, of files open for writing
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
            self._opened[handle.fd] = caller

    def wrote(self, handle: int, count: int) -> None:
        """Count bytes written; none if space was allocated."""
        if handle in self._opened:
            self._written[handle] = self._written.get(handle, 0) + count

    def resized(self, caller: Caller, handle: FileHandle, size: int) -> None:
        """Publish that an open file was given another size."""
        self._of_handle(caller, ChangeKind.TRUNCATE, handle, -1, size)

    def closing(self, handle: FileHandle) -> None:
        """Publish what was written through a handle, which is open still and will not be used any more."""
        caller = self._opened.pop(handle.fd, None)
        written = self._written.pop(handle.fd, None)
        if caller is not None and written is not None:
            self._of_handle(caller, ChangeKind.WRITE, handle, written, os.fstat(handle.fd).st_size)

    def _of_handle(self, caller: Caller, kind: ChangeKind, handle: FileHandle, written: int, size: int) -> None:
        rel = _place_of(handle) if not handle.mount.private else None
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
    return directory_identity(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)


def _place_of(handle: FileHandle) -> bytes | None:
    """Return the path below its mount at which an open file is now; None if it has none there."""
    if not os.fstat(handle.fd).st_nlink:
        return None
    root, path = (os.fsencode(os.readlink(f"/proc/self/fd/{fd}")) for fd in (handle.mount.source.fd, handle.fd))
    if path == root:
        return b""
    return path[len(root) + 1 :] if path.startswith(root + b"/") else None
