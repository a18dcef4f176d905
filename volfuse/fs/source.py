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
        root_inode: number of the root as views show it. Kept, like its type, so that listing the directory around a
            mount point does not ask a source that may hang.
        root_type: S_IFMT of the root.
    """

    __slots__ = ("__weakref__", "_numbers", "_spaces", "_tag", "device", "fd", "root_inode", "root_type")

    def __init__(self, fd: int, status: os.stat_result, tag: int, numbers: InodeNumbers) -> None:
        self.fd = fd
        self.device = status.st_dev
        self._tag = tag
        self._numbers = numbers
        self._spaces = {self.device: numbers.space(tag, self.device)}
        self.root_inode = self.number(status.st_dev, status.st_ino)
        self.root_type = stat.S_IFMT(status.st_mode)

    def __del__(self) -> None:
        self._numbers.forget(self._tag, self.device)
        os.close(self.fd)

    @property
    def is_directory(self) -> bool:
        """False for the bind of a single file."""
        return self.root_type == stat.S_IFDIR

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
            status = os.fstat(fd)
            key = (_mount_id(fd), status.st_dev, status.st_ino, planned.inode_tag)
            with self._lock:
                shared = self._sources.get(key)
                if shared is not None:
                    os.close(fd)
                    return shared
                source = Source(fd, status, planned.inode_tag, self._numbers)
                self._sources[key] = source
                return source
        except OSError as exc:
            if fd >= 0:
                os.close(fd)
            return MissingSource(planned.source, exc)


def _mount_id(fd: int) -> int:
    """Return the host mount that `fd` was opened through: one directory seen through two may have others below."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
        return next(int(line[7:]) for line in file if line.startswith(b"mnt_id:"))
