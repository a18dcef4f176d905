"""The operations on places: paths in a view.

Each opens the directory around a place, beneath the mount's source, and calls the primitive. Here are the rules about
names that belong to the view rather than to a source: mount points cannot be removed, renamed or made anew, nor can
the directories that lead to them, and names on two mounts cannot be linked or swapped. They hold between two mounts of
one volume too, as on Linux.

Functions that change a directory take the place of an *entry* (`View.locate_entry`), all others that of a file
(`View.locate`).
"""

from __future__ import annotations

import errno
import os
import stat
from types import TracebackType

from volfuse.fs import attributes, directories, files, links, xattrs
from volfuse.fs.descriptors import Caller, Parent
from volfuse.fs.directories import DirectoryHandle
from volfuse.fs.files import FileHandle
from volfuse.fs.view import Attributes, Place
from volfuse.sys.utimens import Timespec

__all__ = [
    "access",
    "check_removable",
    "chmod",
    "chown",
    "create",
    "getattr",
    "getxattr",
    "link",
    "listxattr",
    "mkdir",
    "mknod",
    "open_directory",
    "open_file",
    "readlink",
    "removexattr",
    "rename",
    "rmdir",
    "setxattr",
    "statfs",
    "symlink",
    "truncate",
    "unlink",
    "utimens",
]

_ABSENT = (FileNotFoundError, NotADirectoryError)


def getattr(place: Place) -> Attributes:
    """Return the attributes of a file, of a link itself."""
    mount = place.mount
    try:
        with Parent(mount.source.fd, place.rel) as (dirfd, name):
            found = attributes.getattr_at(mount, dirfd, name)
    except _ABSENT:
        if place.path in place.view.leading:
            return place.view.synthetic(place.path)
        raise
    if place.path in place.view.leading and not stat.S_ISDIR(found.status.st_mode):
        return place.view.synthetic(place.path)
    return found


def access(place: Place, mask: int) -> None:
    """Raise unless the file is there, and EROFS if writing is asked for where nobody can."""
    getattr(place)
    if mask & os.W_OK:
        place.mount.check_writable()


def chmod(place: Place, mode: int) -> None:
    """Set the permission bits."""
    with _around(place) as (dirfd, name):
        attributes.chmod_at(place.mount, dirfd, name, mode)


def chown(place: Place, uid: int, gid: int) -> None:
    """Set owner and group; -1 leaves one as it is."""
    with _around(place) as (dirfd, name):
        attributes.chown_at(place.mount, dirfd, name, uid, gid)


def utimens(place: Place, atime: Timespec, mtime: Timespec) -> None:
    """Set the times."""
    with _around(place) as (dirfd, name):
        attributes.utimens_at(place.mount, dirfd, name, atime, mtime)


def truncate(place: Place, size: int) -> None:
    """Set the size of a file."""
    with _around(place) as (dirfd, name):
        files.truncate_at(place.mount, dirfd, name, size)


def statfs(place: Place) -> os.statvfs_result:
    """Return the figures of the file system below a place."""
    try:
        with Parent(place.mount.source.fd, place.rel) as (dirfd, name):
            return attributes.statfs_at(dirfd, name)
    except _ABSENT:
        if place.path in place.view.leading:
            return attributes.statfs_at(place.mount.source.fd, b"")
        raise


def getxattr(place: Place, attribute: bytes) -> bytes:
    """Return the value of an extended attribute."""
    try:
        with Parent(place.mount.source.fd, place.rel) as (dirfd, name):
            return xattrs.getxattr_at(dirfd, name, attribute)
    except _ABSENT:
        if place.path in place.view.leading:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), place.path) from None
        raise


def listxattr(place: Place) -> list[bytes]:
    """Return the names of all extended attributes."""
    try:
        with Parent(place.mount.source.fd, place.rel) as (dirfd, name):
            return xattrs.listxattr_at(dirfd, name)
    except _ABSENT:
        if place.path in place.view.leading:
            return []
        raise


def setxattr(place: Place, attribute: bytes, value: bytes, flags: int) -> None:
    """Set an extended attribute."""
    with _around(place) as (dirfd, name):
        xattrs.setxattr_at(place.mount, dirfd, name, attribute, value, flags)


def removexattr(place: Place, attribute: bytes) -> None:
    """Remove an extended attribute."""
    with _around(place) as (dirfd, name):
        xattrs.removexattr_at(place.mount, dirfd, name, attribute)


def readlink(place: Place) -> bytes:
    """Return what a symbolic link holds."""
    with Parent(place.mount.source.fd, place.rel) as (dirfd, name):
        return links.readlink_at(dirfd, name)


def open_file(place: Place, flags: int) -> FileHandle:
    """Open a regular file."""
    with Parent(place.mount.source.fd, place.rel) as (dirfd, name):
        return files.open_at(place.mount, dirfd, name, flags)


def open_directory(place: Place) -> DirectoryHandle:
    """Open a directory for listing."""
    try:
        with Parent(place.mount.source.fd, place.rel) as (dirfd, name):
            fd = directories.open_directory_at(dirfd, name)
    except (FileNotFoundError, NotADirectoryError):
        if place.path not in place.view.leading:
            raise
        fd = -1
    return DirectoryHandle(place.view, place.mount, place.path, fd)


def create(entry: Place, flags: int, mode: int, caller: Caller) -> FileHandle:
    """Create and open a regular file."""
    _check_absent(entry)
    with _around(entry) as (dirfd, name):
        return files.create_at(entry.mount, dirfd, name, flags, mode, caller)


def mknod(entry: Place, mode: int, device: int, caller: Caller) -> None:
    """Make a FIFO, socket, device or empty file."""
    _check_absent(entry)
    with _around(entry) as (dirfd, name):
        files.mknod_at(entry.mount, dirfd, name, mode, device, caller)


def mkdir(entry: Place, mode: int, caller: Caller) -> None:
    """Make a directory."""
    _check_absent(entry)
    with _around(entry) as (dirfd, name):
        directories.mkdir_at(entry.mount, dirfd, name, mode, caller)


def symlink(entry: Place, target: bytes, caller: Caller) -> None:
    """Make a symbolic link."""
    _check_absent(entry)
    with _around(entry) as (dirfd, name):
        links.symlink_at(entry.mount, dirfd, name, target, caller)


def link(place: Place, entry: Place) -> None:
    """Give the file at `place` another name."""
    if place.mount is not entry.mount:
        raise _error(errno.EXDEV, place.path, entry.path)
    _check_absent(entry)
    with _around(place) as (old_dirfd, old), _around(entry) as (new_dirfd, new):
        links.link_at(entry.mount, old_dirfd, old, new_dirfd, new)


def unlink(entry: Place) -> None:
    """Remove a name that is no directory."""
    check_removable(entry)
    with _around(entry) as (dirfd, name):
        links.unlink_at(entry.mount, dirfd, name)


def rmdir(entry: Place) -> None:
    """Remove an empty directory."""
    if entry.path in entry.view.points:
        raise _error(errno.EBUSY, entry.path)
    if entry.path in entry.view.leading:
        raise _error(errno.ENOTEMPTY, entry.path)
    with _around(entry) as (dirfd, name):
        links.rmdir_at(entry.mount, dirfd, name)


def rename(old: Place, new: Place, flags: int = 0) -> None:
    """Rename the entry `old` to `new`."""
    if old.mount is not new.mount:
        raise _error(errno.EXDEV, old.path, new.path)
    for entry in (old, new):
        if entry.path in entry.view.points or entry.path in entry.view.leading:
            raise _error(errno.EBUSY, old.path, new.path)
    with _around(old) as (old_dirfd, old_name), _around(new) as (new_dirfd, new_name):
        links.rename_at(old.mount, old_dirfd, old_name, new_dirfd, new_name, flags)


def check_removable(entry: Place) -> None:
    """Raise as unlink(2) does for a read-only mount, a mount point, or a directory that leads to one."""
    if entry.path in entry.view.points:
        mount = entry.view.locate(entry.path).mount
        raise _error(errno.EISDIR if mount.source.is_directory else errno.EBUSY, entry.path)
    if entry.path in entry.view.leading:
        raise _error(errno.EISDIR, entry.path)
    entry.mount.check_writable()


class _around(Parent):  # noqa: N801 (used as a verb)
    """The directory around a place, for a change: EROFS where that directory or the file exists only in the view."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        super().__init__(place.mount.source.fd, place.rel)
        self._place = place

    def __enter__(self) -> tuple[int, bytes]:
        try:
            return super().__enter__()
        except _ABSENT:
            if self._place.path.rpartition(b"/")[0] in self._place.view.leading:
                raise _error(errno.EROFS, self._place.path) from None
            raise

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, exc, trace)
        if isinstance(exc, _ABSENT) and self._place.path in self._place.view.leading:
            raise _error(errno.EROFS, self._place.path) from None


def _check_absent(entry: Place) -> None:
    """Raise EEXIST for a name that the view itself has."""
    if entry.path in entry.view.points or entry.path in entry.view.leading:
        raise _error(errno.EEXIST, entry.path)


def _error(number: int, path: bytes, path2: bytes | None = None) -> OSError:
    return OSError(number, os.strerror(number), path, None, path2)
