"""Giving one file the owner, mode, times and attributes of another.

Without privilege the file belongs to the caller: another owner, and the set-id bits that would change their meaning
with it, are not kept (as `cp -a` does). With privilege every failure is an error.
"""

from __future__ import annotations

import errno
import os
import stat

from volfuse.fs.descriptors import self_path
from volfuse.fs.unlocked import DIRECTORY, PATH
from volfuse.sys.owned import owned

__all__ = ["copy_metadata", "finish_name", "finish_open_file", "set_xattr"]

_SET_ID = stat.S_ISUID | stat.S_ISGID


def copy_metadata(source_fd: int, target_fd: int) -> None:
    """Give one directory the owner, mode, times and xattrs of another. Both descriptors may be OPATH."""
    with (
        owned(os.open(b".", DIRECTORY, dir_fd=source_fd)) as source,
        owned(os.open(b".", DIRECTORY, dir_fd=target_fd)) as target,
    ):
        finish_open_file(source, target, os.fstat(source))


def finish_open_file(source_fd: int, target_fd: int, found: os.stat_result) -> None:
    """Copy what a file or directory has. The order matters: a chown drops set-id bits and capabilities."""
    kept = _try_chown(target_fd, found)
    _copy_xattrs(source_fd, target_fd)
    os.fchmod(target_fd, _mode_for(found, kept))
    os.utime(target_fd, ns=(found.st_atime_ns, found.st_mtime_ns))


def finish_name(source_dirfd: int, target_dirfd: int, name: bytes, found: os.stat_result) -> None:
    """Copy what a link or special file has, which cannot be opened for it; it has the same name on both sides."""
    with owned(os.open(name, PATH, dir_fd=target_dirfd)) as target_fd:
        target = self_path(target_fd)
        kept = _try_chown(target_fd, found)
        _copy_xattrs(b"%s/%s" % (self_path(source_dirfd), name), target)
        if not stat.S_ISLNK(found.st_mode):
            os.chmod(target, _mode_for(found, kept))
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _try_chown(fd: int, found: os.stat_result) -> bool:
    """Set the owner; without privilege it may stay the caller's, and the answer is False."""
    now = os.fstat(fd)
    if (now.st_uid, now.st_gid) == (found.st_uid, found.st_gid):
        return True
    try:
        os.chown(self_path(fd), found.st_uid, found.st_gid)
    except PermissionError:
        if os.geteuid() == 0:
            raise
        return False
    return True


def _mode_for(found: os.stat_result, owner_kept: bool) -> int:
    mode = stat.S_IMODE(found.st_mode)
    return mode if owner_kept or stat.S_ISDIR(found.st_mode) else mode & ~_SET_ID


def _copy_xattrs(source: int | bytes, target: int | bytes) -> None:
    """Copy all attributes. A path as source names an entry itself, be it a link; one as target is a `self_path`."""
    follow = isinstance(source, int)
    try:
        names = os.listxattr(source, follow_symlinks=follow)
    except OSError as exc:
        if exc.errno != errno.ENOTSUP:
            raise
        return
    for name in names:
        set_xattr(target, name, os.getxattr(source, name, follow_symlinks=follow))


def set_xattr(target: int | bytes, name: str, value: bytes) -> None:
    """Set one attribute; one that the target's file system, or an ordinary user, cannot have is left out."""
    try:
        os.setxattr(target, name, value)
    except OSError as exc:
        unprivileged = exc.errno == errno.EPERM and os.geteuid() != 0
        if exc.errno != errno.ENOTSUP and not unprivileged:
            raise
