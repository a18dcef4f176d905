"""From a name to a descriptor, without following anything.

A file is given to the primitives as a directory descriptor and one name. The empty name means what the descriptor
itself is open on: the root of a file bind, an open file, an unlinked one.
"""

from __future__ import annotations

import os
from types import TracebackType

from volfuse.sys.openat2 import openat2

__all__ = ["Caller", "Parent", "Pinned", "self_path"]


class Caller:
    """Who asks.

    Attributes:
        pid: thread id; 0 if it is in a pid namespace that cannot be seen from here.
    """

    __slots__ = ("gid", "pid", "uid")

    def __init__(self, uid: int, gid: int, pid: int = 0) -> None:
        self.uid = uid
        self.gid = gid
        self.pid = pid


def self_path(fd: int) -> bytes:
    """Return a path to what `fd` is open on, for calls that take neither O_PATH descriptors nor a directory."""
    return b"/proc/self/fd/%d" % fd


class Parent:
    """The directory that holds a path, opened for the time of a block, and the path's last name."""

    __slots__ = ("_fd", "_rel", "_root")

    def __init__(self, root: int, rel: bytes) -> None:
        self._root = root
        self._rel = rel
        self._fd = -1

    def __enter__(self) -> tuple[int, bytes]:
        head, _, name = self._rel.rpartition(b"/")
        if not head:
            return self._root, name
        self._fd = openat2(self._root, head, os.O_PATH | os.O_DIRECTORY)
        return self._fd, name

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class Pinned:
    """A file, or a link itself, pinned by an O_PATH descriptor for a block, whatever becomes of its name."""

    __slots__ = ("_dirfd", "_fd", "_name")

    def __init__(self, dirfd: int, name: bytes) -> None:
        self._dirfd = dirfd
        self._name = name
        self._fd = -1

    def __enter__(self) -> int:
        if not self._name:
            return self._dirfd
        self._fd = os.open(self._name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._dirfd)
        return self._fd

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            os.close(self._fd)
