"""The type of a file system, which `os.fstatvfs` does not tell."""

from __future__ import annotations

import ctypes

from volfuse.sys.libc import LIBC, failed

__all__ = ["OVERLAYFS_SUPER_MAGIC", "file_system_type"]

OVERLAYFS_SUPER_MAGIC = 0x794C7630  # include/uapi/linux/magic.h
_STATFS_BYTES = 256  # struct statfs has 120 on 64-bit machines; f_type is the first word


def file_system_type(fd: int) -> int:
    """Return f_type of the file system that an open file, also O_PATH, lies on."""
    room = (ctypes.c_long * (_STATFS_BYTES // ctypes.sizeof(ctypes.c_long)))()
    if LIBC.fstatfs(fd, ctypes.byref(room)) != 0:
        raise failed()
    return room[0] & 0xFFFFFFFF
