"""Sources: the opened roots behind mount points.

A source is pinned by a descriptor as a bind mount pins what it shows: it may be renamed or replaced on the host, the
views keep what they had. Views share sources, so 200 containers with one volume hold one descriptor.

A source is closed with the last reference to it and not before: a view can be detached while operations on it are
under way, and a descriptor closed under them could be another file's by the time they use it.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import weakref

from volfuse.core.viewplan import PlannedMount
from volfuse.fs.inodes import InodeNumbers, combine

__all__ = ["MissingSource", "Source", "SourceTable"]


class Source:
    """An opened directory or file.

    Attributes:
        fd: O_PATH or more; owned.
        device: st_dev of the root. Host mounts below may have others.
        is_directory: false for the bind of a single file.
    """

    __slots__ = ("__weakref__", "_numbers", "_spaces", "_tag", "device", "fd", "is_directory")

    def __init__(self, fd: int, tag: int, numbers: InodeNumbers) -> None:
        self.fd = fd
        status = os.fstat(fd)
        self.device = status.st_dev
        self.is_directory = stat.S_ISDIR(status.st_mode)
        self._tag = tag
        self._numbers = numbers
        self._spaces = {self.device: numbers.space(tag, self.device)}

    def __del__(self) -> None:
        self._numbers.forget(self._tag, self.device)
        os.close(self.fd)

    def number(self, device: int, inode: int) -> int:
        """Return the inode number that views show."""
        try:
            space = self._spaces[device]
        except KeyError:
            space = self._spaces[device] = self._numbers.space(self._tag, device)
        return combine(space, inode) if space else inode


class MissingSource:
    """A source that could not be opened when its view was attached: everything below it is EIO.

    Attributes:
        reason: what opening it said.
    """

    __slots__ = ("path", "reason")

    device = 0
    is_directory = True

    def __init__(self, path: bytes, reason: OSError) -> None:
        self.path = path
        self.reason = reason.strerror or str(reason)

    @property
    def fd(self) -> int:
        """Raise EIO."""
        raise OSError(errno.EIO, f"source is missing: {self.reason}", self.path)

    def number(self, device: int, inode: int) -> int:  # noqa: ARG002 (the signature of Source)
        """Raise EIO."""
        raise OSError(errno.EIO, f"source is missing: {self.reason}", self.path)


class SourceTable:
    """Opens sources, each only once."""

    def __init__(self, numbers: InodeNumbers) -> None:
        self._numbers = numbers
        self._lock = threading.Lock()
        # guarded by self._lock
        self._sources: weakref.WeakValueDictionary[tuple[int, int, int, int], Source] = weakref.WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._sources)

    def open(self, planned: PlannedMount) -> Source | MissingSource:
        """Return the source of a planned mount; takes `planned.source_fd`."""
        fd = planned.source_fd
        try:
            if fd < 0:
                fd = os.open(planned.source, os.O_PATH | os.O_CLOEXEC)
            key = (*_identity(fd), planned.inode_tag)
            with self._lock:
                shared = self._sources.get(key)
                if shared is not None:
                    os.close(fd)
                    return shared
                source = Source(fd, planned.inode_tag, self._numbers)
                self._sources[key] = source
                return source
        except OSError as exc:
            if fd >= 0:
                os.close(fd)
            return MissingSource(planned.source, exc)


def _identity(fd: int) -> tuple[int, int, int]:
    """Return mount id, device and inode: one directory seen through two host mounts may have other mounts below."""
    status = os.fstat(fd)
    with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
        mount_id = next(int(line[7:]) for line in file if line.startswith(b"mnt_id:"))
    return mount_id, status.st_dev, status.st_ino
