"""A view: the table of mounts of one container, and where a path of it lies.

Pure look-up; nothing here opens or changes a file, and no link is followed: whoever walks a path (the kernel) does that
and hands in paths without links.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from volfuse.core.coherence import Coherence
from volfuse.core.feed import Through
from volfuse.core.viewplan import Telling
from volfuse.fs.inodes import synthetic_inode
from volfuse.fs.source import MissingSource, Source

__all__ = ["Attributes", "Mount", "Place", "View"]

_UNKNOWN = Through("", "", b"")


class Attributes(NamedTuple):
    """What stat(2) shows of a file.

    Attributes:
        inode: st_ino as views show it.
        status: all other fields; `status.st_ino` and `status.st_dev` are the source's.
    """

    inode: int
    status: os.stat_result


@dataclass(frozen=True, slots=True, eq=False)
class Mount:
    """One mount of a view; itself only, even if another is of the same source and destination.

    Attributes:
        destination: path in the view, without leading slash; empty for the private tree.
        private: only this view can change what lies in the source.
        coherence: what the kernel may keep of it, where it is shared.
        through: what changes are known by that are made through this mount.
    """

    destination: bytes
    source: Source | MissingSource
    readonly: bool = False
    private: bool = False
    label: str = ""
    through: Through = _UNKNOWN
    coherence: Coherence = Coherence.STRICT

    def check_writable(self) -> None:
        """Raise EROFS on a read-only mount."""
        if self.readonly:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), self.destination)


class Place(NamedTuple):
    """Where a path of a view lies.

    Attributes:
        rel: path below the mount's source, empty for its root; no leading slash.
        path: path in the view, empty for its root; no leading slash.
    """

    view: View
    mount: Mount
    rel: bytes
    path: bytes


class View:
    """The mounts of one container. Immutable.

    Attributes:
        covered: names that the view itself puts into a directory: its mount points, and directories that lead to one
            (`None`), by path of the directory.
        points: paths of all mount points.
        leading: paths of all directories that lead to a mount point.
        created_ns: times of directories that exist only in the view.
    """

    __slots__ = ("_routes", "container", "covered", "created_ns", "leading", "mounts", "name", "points", "telling")

    def __init__(self, container: str, name: str, mounts: tuple[Mount, ...], telling: Telling = Telling.AUTO) -> None:
        self.container = container
        self.name = name
        self.mounts = mounts
        self.telling = telling
        self.created_ns = time.time_ns()
        ordered = sorted(
            mounts, key=lambda mount: mount.destination.count(b"/") + bool(mount.destination), reverse=True
        )
        self._routes = [(m.destination, m.destination + b"/", len(m.destination) + 1, m) for m in ordered]
        self.covered = _covered(mounts)
        self.points = frozenset(mount.destination for mount in mounts if mount.destination)
        self.leading = frozenset(path for path in self.covered if path and path not in self.points)

    def renamed(self, name: str) -> View:
        """Return the same view under another name."""
        return View(self.container, name, self.mounts, self.telling)

    def locate(self, path: bytes) -> Place:
        """Return where the file at `path` lies."""
        for destination, prefix, length, mount in self._routes:
            if path.startswith(prefix):
                return Place(self, mount, path[length:], path)
            if path == destination:
                return Place(self, mount, b"", path)
            if not destination:
                return Place(self, mount, path, path)
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def locate_entry(self, path: bytes) -> Place:
        """Return where the directory entry at `path` lies: for a mount point that is in the mount around it.

        Raises:
            OSError: EBUSY for the view's root, which is no entry of the view.
        """
        if not path:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        for _, prefix, length, mount in self._routes:
            if path.startswith(prefix):
                return Place(self, mount, path[length:], path)
            if length == 1:
                return Place(self, mount, path, path)
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def root_inode(self) -> int:
        """Return the number of the view's root directory."""
        source = self.locate(b"").mount.source
        return self.synthetic(b"").inode if isinstance(source, MissingSource) else source.root_inode

    def synthetic(self, path: bytes) -> Attributes:
        """Return the attributes of a directory that only leads to mount points: root's, 0755."""
        return synthetic_directory(synthetic_inode(self.container, path), self.created_ns)


def synthetic_directory(inode: int, time_ns: int) -> Attributes:
    """Return the attributes of a directory without a source."""
    seconds = time_ns // 1_000_000_000
    times = {f"st_{kind}time": time_ns / 1e9 for kind in "amc"} | {f"st_{kind}time_ns": time_ns for kind in "amc"}
    times |= {"st_blksize": 4096, "st_blocks": 0, "st_rdev": 0}
    fields = (stat.S_IFDIR | 0o755, inode, 0, 2, 0, 0, 0, seconds, seconds, seconds)
    return Attributes(inode, os.stat_result(fields, times))


def _covered(mounts: tuple[Mount, ...]) -> Mapping[bytes, Mapping[bytes, Mount | None]]:
    covered: dict[bytes, dict[bytes, Mount | None]] = {}
    for mount in mounts:
        head, _, name = mount.destination.rpartition(b"/")
        if not name:
            continue
        covered.setdefault(head, {})[name] = mount
        while head:
            head, _, name = head.rpartition(b"/")
            covered.setdefault(head, {}).setdefault(name, None)
    return covered
