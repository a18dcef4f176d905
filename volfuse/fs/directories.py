"""Directories: making, opening, listing.

A listing is what the source has, with the view's mount points and the directories that lead to them put over it. It is
read anew for each pass, so that rewinddir(3) sees what came since.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import NamedTuple

from volfuse.fs.descriptors import Caller, self_path
from volfuse.fs.inodes import ROOT_INODE
from volfuse.fs.source import MissingSource
from volfuse.fs.view import Mount, View
from volfuse.sys.at import mkdirat
from volfuse.sys.credentials import acting_as

__all__ = ["DirectoryHandle", "Entry", "fsync_directory", "mkdir_at", "open_directory_at"]


class Entry(NamedTuple):
    """One name of a directory.

    Attributes:
        inode: as `Attributes.inode`.
        mode: the file's type (S_IFMT); 0 if it went away meanwhile.
    """

    name: bytes
    inode: int
    mode: int


@dataclass(frozen=True, slots=True)
class DirectoryHandle:
    """An open directory.

    Attributes:
        path: in the view; empty for its root.
        fd: of the source, closed by `close`; -1 for a directory that exists only in the view.
    """

    view: View
    mount: Mount
    path: bytes
    fd: int

    def entries(self) -> list[Entry]:
        """Return all entries as they are now, `.` and `..` first."""
        own = self.view.covered.get(self.path)
        found = [] if self.fd < 0 else _scan(self.fd, self.mount)
        if own:
            hidden = {entry.name: entry for entry in found if entry.name in own}
            found = [entry for entry in found if entry.name not in own]
            found.extend(self._own_entry(name, mount, hidden.get(name)) for name, mount in own.items())
        return [Entry(b".", self._inode(), stat.S_IFDIR), Entry(b"..", self._parent_inode(), stat.S_IFDIR), *found]

    def close(self) -> None:
        """Close the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)

    def _own_entry(self, name: bytes, mount: Mount | None, hidden: Entry | None) -> Entry:
        if mount is not None and not isinstance(mount.source, MissingSource):
            return Entry(name, mount.source.root_inode, mount.source.root_type)
        if mount is None and hidden is not None and hidden.mode == stat.S_IFDIR:
            return hidden
        return Entry(name, self.view.synthetic(self.path + b"/" + name if self.path else name).inode, stat.S_IFDIR)

    def _inode(self) -> int:
        if self.fd < 0:
            return self.view.synthetic(self.path).inode
        status = os.fstat(self.fd)
        return self.mount.source.number(status.st_dev, status.st_ino)

    def _parent_inode(self) -> int:
        """Return the number of the directory above; in the view, where above a mount's root is another mount."""
        if not self.path:
            return ROOT_INODE
        head = self.path.rpartition(b"/")[0]
        place = self.view.locate(head)
        if self.fd >= 0 and place.mount is self.mount:
            status = os.stat(b"..", dir_fd=self.fd, follow_symlinks=False)
            return self.mount.source.number(status.st_dev, status.st_ino)
        if not place.rel and not isinstance(place.mount.source, MissingSource):
            return place.mount.source.root_inode
        return self.view.synthetic(head).inode


def mkdir_at(mount: Mount, dirfd: int, name: bytes, mode: int, caller: Caller) -> None:
    """Make a directory that belongs to `caller`; group and set-group-id come from the directory above as on Linux."""
    mount.check_writable()
    with acting_as(caller.uid, caller.gid):
        mkdirat(dirfd, name, mode & 0o7777)


def open_directory_at(dirfd: int, name: bytes) -> int:
    """Open a directory for listing; the caller closes it."""
    if name:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dirfd)
    return os.open(self_path(dirfd), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def fsync_directory(handle: DirectoryHandle, *, data_only: bool) -> None:
    """Write a directory to disk."""
    if handle.fd < 0:
        return
    if data_only:
        os.fdatasync(handle.fd)
    else:
        os.fsync(handle.fd)


def _scan(fd: int, mount: Mount) -> list[Entry]:
    device = os.fstat(fd).st_dev
    number = mount.source.number
    with os.scandir(fd) as found:
        return [Entry(os.fsencode(item.name), number(device, item.inode()), _type(item, fd)) for item in found]


def _type(item: os.DirEntry[str], fd: int) -> int:
    if item.is_symlink():
        return stat.S_IFLNK
    if item.is_file(follow_symlinks=False):
        return stat.S_IFREG
    if item.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    try:
        return stat.S_IFMT(os.stat(item.name, dir_fd=fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return 0
