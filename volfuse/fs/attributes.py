"""Attributes: stat, mode, owner, times, access, and the file system's own.

Permission is checked by the kernel before (default_permissions), so changes are made with the daemon's own rights.
"""

from __future__ import annotations

import os

from volfuse.fs.descriptors import Pinned, self_path
from volfuse.fs.view import Attributes, Mount
from volfuse.sys.utimens import Timespec, utimensat

__all__ = ["access_at", "chmod_at", "chown_at", "getattr_at", "getattr_fd", "statfs_at", "utimens_at"]


def getattr_at(mount: Mount, dirfd: int, name: bytes) -> Attributes:
    """Return the attributes of a file; of a link itself."""
    status = os.stat(name, dir_fd=dirfd, follow_symlinks=False) if name else os.fstat(dirfd)
    return Attributes(mount.source.number(status.st_dev, status.st_ino), status)


def getattr_fd(mount: Mount, fd: int) -> Attributes:
    """Return the attributes of an open file."""
    status = os.fstat(fd)
    return Attributes(mount.source.number(status.st_dev, status.st_ino), status)


def chmod_at(mount: Mount, dirfd: int, name: bytes, mode: int) -> None:
    """Set the permission bits. The mode of a link cannot be set: EOPNOTSUPP."""
    mount.check_writable()
    with Pinned(dirfd, name) as fd:
        os.chmod(self_path(fd), mode & 0o7777)


def chown_at(mount: Mount, dirfd: int, name: bytes, uid: int, gid: int) -> None:
    """Set owner and group, -1 leaves one as it is. Clears set-user-id bits of files, as Linux does."""
    mount.check_writable()
    if name:
        os.chown(name, uid, gid, dir_fd=dirfd, follow_symlinks=False)
    else:
        os.chown(self_path(dirfd), uid, gid)


def utimens_at(mount: Mount, dirfd: int, name: bytes, atime: Timespec, mtime: Timespec) -> None:
    """Set the times; each may be `utimens.NOW` or `utimens.OMIT`."""
    mount.check_writable()
    if name:
        utimensat(dirfd, name, atime, mtime)
    else:
        utimensat(-1, self_path(dirfd), atime, mtime, follow=True)


def access_at(mount: Mount, dirfd: int, name: bytes, mask: int) -> None:
    """Raise unless the file is there and its mount allows writing, if that is asked for."""
    getattr_at(mount, dirfd, name)
    if mask & os.W_OK:
        mount.check_writable()


def statfs_at(dirfd: int, name: bytes) -> os.statvfs_result:
    """Return the figures of the file system where the file lies, which may be mounted below the source."""
    with Pinned(dirfd, name) as fd:
        return os.fstatvfs(fd)
