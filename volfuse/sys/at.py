"""Names in a directory that is open: opened, made, removed and renamed, nothing followed."""

from __future__ import annotations

import os

from volfuse.sys.raw import raw_mkdirat, raw_openat, raw_renameat, raw_unlinkat

__all__ = ["mkdirat", "openat", "renameat", "rmdirat", "unlinkat"]

_NEVER_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC


def openat(dirfd: int, name: bytes, flags: int, mode: int = 0) -> int:
    """Open a name, not a link's target, and return a descriptor that the caller closes; O_CLOEXEC is added.

    Raises:
        OSError: ELOOP for a link, unless it is opened with O_PATH.
    """
    fd = raw_openat(dirfd, name, flags | _NEVER_FOLLOW, mode)
    if fd < 0:
        raise OSError(-fd, os.strerror(-fd), name)
    return fd


def mkdirat(dirfd: int, name: bytes, mode: int) -> None:
    """Make a directory."""
    number = raw_mkdirat(dirfd, name, mode)
    if number:
        raise OSError(number, os.strerror(number), name)


def unlinkat(dirfd: int, name: bytes) -> None:
    """Remove a name that is no directory."""
    number = raw_unlinkat(dirfd, name, False)
    if number:
        raise OSError(number, os.strerror(number), name)


def rmdirat(dirfd: int, name: bytes) -> None:
    """Remove an empty directory."""
    number = raw_unlinkat(dirfd, name, True)
    if number:
        raise OSError(number, os.strerror(number), name)


def renameat(old_dirfd: int, old: bytes, new_dirfd: int, new: bytes) -> None:
    """Rename."""
    number = raw_renameat(old_dirfd, old, new_dirfd, new)
    if number:
        raise OSError(number, os.strerror(number), old, None, new)
