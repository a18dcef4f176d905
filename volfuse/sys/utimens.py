"""utimensat(2) with UTIME_NOW and UTIME_OMIT, which `os.utime` lacks."""

from __future__ import annotations

import ctypes

from volfuse.sys.libc import LIBC, failed

__all__ = ["NOW", "OMIT", "Timespec", "utimensat"]

AT_SYMLINK_NOFOLLOW = 0x100

NOW = (0, 0x3FFFFFFF)
OMIT = (0, 0x3FFFFFFE)

Timespec = tuple[int, int]
"""Seconds, also below 0, and nanoseconds; or `NOW` or `OMIT`."""


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


def utimensat(dirfd: int, path: bytes, atime: Timespec, mtime: Timespec, *, follow: bool = False) -> None:
    """Set the times of `path`, relative to `dirfd`."""
    times = (_Timespec * 2)(_Timespec(*atime), _Timespec(*mtime))
    if LIBC.utimensat(dirfd, path, times, 0 if follow else AT_SYMLINK_NOFOLLOW) != 0:
        raise failed(path)
