"""From a node to descriptors: the directories that are open just now, and the way to those that are not.

No descriptor belongs to a node for good. A bounded number of directories stay open; another is opened by the names
from the nearest open directory above, beneath it and through no link. What is found must be the same directory as
before, else ESTALE: the kernel then walks the path again by itself.
"""

from __future__ import annotations

import collections
import errno
import os
import threading

from volfuse.sys.openat2 import openat2
from volfuse.sys.statx import Statx
from volfuse.transport.kernel.mounts import MountState
from volfuse.transport.kernel.nodes import Directory, DirectoryNode, Fd, File, RootFd

__all__ = ["OpenDirectories", "is_open_on", "stale"]

_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
_NAMES = 15  # of 255 bytes stay below PATH_MAX
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV})


def stale() -> OSError:
    """Return ESTALE: what the kernel knows is no longer so, and it is to look again."""
    return OSError(errno.ESTALE, os.strerror(errno.ESTALE))


class OpenDirectories:
    """Directories that are open, at most `limit`; those not used lately are closed first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._queue: collections.OrderedDict[Directory, None] = collections.OrderedDict()  # guarded by self._lock

    def around(self, node: File, statx: Statx) -> Fd | RootFd:
        """Return the descriptor of the directory that a file was seen in last.

        Raises:
            OSError: ESTALE if it has no name, or the directory is gone.
        """
        parent = node.parent
        if parent is None:
            raise stale()
        parent.used = True
        return parent.holder or self._open(parent, node.mount, statx)

    def of(self, node: DirectoryNode, statx: Statx) -> Fd | RootFd:
        """Return the descriptor of a directory node's directory. Keep the object for as long as you use the number.

        Raises:
            OSError: ESTALE if it is no longer where it was, or its view is gone; EROFS if only the view has it, EPERM
                for the list of views.
        """
        directory = node.directory
        if directory is None:
            number = errno.EPERM if node.view is None else errno.EROFS
            raise OSError(number, os.strerror(number))
        if node.mount.gone:
            raise stale()
        directory.used = True
        return directory.holder or self._open(directory, node.mount, statx)

    def holder(self, directory: Directory, mount: MountState, statx: Statx) -> Fd | RootFd:
        """Return the descriptor of a directory of a mount's source."""
        return directory.holder or self._open(directory, mount, statx)

    def pin(self, node: File, statx: Statx) -> Fd:
        """Open a file without following or reading it, and make sure that it is the node's.

        Raises:
            OSError: ESTALE if another file has the name, or none.
        """
        opened = node.opened
        if opened is not None and (pinned := _duplicate(opened.any_fd())) and is_open_on(pinned.fd, node, statx):
            return pinned
        holder = self.around(node, statx)
        if not node.name:
            return Fd(os.dup(holder.fd))
        try:
            pinned = Fd(os.open(node.name, _PATH, dir_fd=holder.fd))
        except OSError as exc:
            if exc.errno in _GONE:
                raise stale() from exc
            raise
        if node.mount.key(statx.at(pinned.fd, b"")) != node.key:
            raise stale()
        return pinned

    def adopt(self, directory: Directory, fd: int) -> Fd:
        """Take a descriptor of a directory that has none, and close another if there are too many."""
        holder = directory.holder = Fd(fd)
        directory.used = True
        with self._lock:
            self._queue[directory] = None
            while len(self._queue) > self._limit:
                oldest, _ = self._queue.popitem(last=False)
                if oldest.pinned:
                    continue
                if oldest.used and oldest is not directory:
                    oldest.used = False
                    self._queue[oldest] = None
                else:
                    oldest.holder = None
        return holder

    def release(self, directory: Directory) -> None:
        """Close a directory that no view shows any more."""
        with self._lock:
            if self._queue.pop(directory, self) is None and not directory.pinned:
                directory.holder = None

    def close_all(self) -> None:
        """Close all."""
        with self._lock:
            for directory in self._queue:
                if not directory.pinned:
                    directory.holder = None
            self._queue.clear()

    def _open(self, directory: Directory, mount: MountState, statx: Statx) -> Fd | RootFd:
        names = []
        above: Directory | None = directory
        start = None
        while above is not None:
            start = above.holder
            if start is not None:
                break
            names.append(above.name)
            above = above.parent
        if start is None:
            raise stale()
        if not names:
            return start
        names.reverse()
        fd = _descend(start, names)
        if mount.key(statx.at(fd, b"")) != directory.key:
            os.close(fd)
            raise stale()
        return self.adopt(directory, fd)


def is_open_on(fd: int, node: File, statx: Statx) -> bool:
    """Say whether a descriptor, which another thread may have closed meanwhile, is open on a node's file.

    What statx found is in `statx` then. On overlayfs copy-up may give an open file another number.
    """
    try:
        found = statx.at(fd, b"")
    except OSError as exc:
        if exc.errno != errno.EBADF:
            raise
        return False
    return not node.mount.birth or node.mount.key(found) == node.key


def _duplicate(fd: int) -> Fd | None:
    try:
        return Fd(os.dup(fd))
    except OSError as exc:
        if exc.errno != errno.EBADF:
            raise
        return None


def _descend(start: Fd | RootFd, names: list[bytes]) -> int:
    """Open a directory by the names that lead to it, a few at a time: a path may be longer than a call takes."""
    above: Fd | RootFd = start
    try:
        for first in range(0, len(names) - _NAMES, _NAMES):
            above = Fd(openat2(above.fd, b"/".join(names[first : first + _NAMES]), _DIRECTORY))
        rest = (len(names) - 1) // _NAMES * _NAMES
        return openat2(above.fd, b"/".join(names[rest:]), _DIRECTORY)
    except OSError as exc:
        if exc.errno in _GONE:
            raise stale() from exc
        raise
