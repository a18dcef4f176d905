"""fallocate(2) with modes; `os.posix_fallocate` has none and writes zeros where the file system lacks the call."""

from __future__ import annotations

import ctypes

from volfuse.sys.libc import LIBC, failed

__all__ = [
    "FALLOC_FL_COLLAPSE_RANGE",
    "FALLOC_FL_INSERT_RANGE",
    "FALLOC_FL_KEEP_SIZE",
    "FALLOC_FL_PUNCH_HOLE",
    "FALLOC_FL_UNSHARE_RANGE",
    "FALLOC_FL_ZERO_RANGE",
    "fallocate",
]

# include/uapi/linux/falloc.h
FALLOC_FL_KEEP_SIZE = 0x01
FALLOC_FL_PUNCH_HOLE = 0x02
FALLOC_FL_COLLAPSE_RANGE = 0x08
FALLOC_FL_ZERO_RANGE = 0x10
FALLOC_FL_INSERT_RANGE = 0x20
FALLOC_FL_UNSHARE_RANGE = 0x40

_FALLOCATE = getattr(LIBC, "fallocate64", LIBC.fallocate)


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """Allocate, punch, zero, insert or collapse the range of an open file.

    Raises:
        OSError: EOPNOTSUPP where the file system lacks the mode.
    """
    if _FALLOCATE(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)) != 0:
        raise failed()
