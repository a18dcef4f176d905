"""The type of a file system, which `os.fstatvfs` does not tell."""

from __future__ import annotations

import ctypes
import os
import re

from volfuse.sys.libc import LIBC, failed

__all__ = ["FINE_TIMES", "LOCAL_FILE_SYSTEMS", "OVERLAYFS_SUPER_MAGIC", "file_system_type", "has_fine_times"]

# include/uapi/linux/magic.h; those of bcachefs and zfs are in their own sources.
OVERLAYFS_SUPER_MAGIC = 0x794C7630
LOCAL_FILE_SYSTEMS = frozenset(
    {
        OVERLAYFS_SUPER_MAGIC,
        0xEF53,  # ext2, ext3, ext4
        0x58465342,  # xfs
        0x9123683E,  # btrfs
        0x01021994,  # tmpfs
        0xF2F52010,  # f2fs
        0xCA451A4E,  # bcachefs
        0x2FC12FC1,  # zfs
    }
)
"""File systems that report nothing when a descriptor is closed: they have no `flush`, or pass it on to such."""
FINE_TIMES = frozenset({0xEF53, 0x58465342, 0x9123683E, 0x01021994})
"""File systems with FS_MGTIME: a time that somebody has seen is never given twice. ext4, xfs, btrfs, tmpfs."""
_FINE_TIMES_SINCE = (6, 13)
_STATFS_BYTES = 256  # struct statfs has 120 on 64-bit machines; f_type is the first word


def file_system_type(fd: int) -> int:
    """Return f_type of the file system that an open file, also O_PATH, lies on."""
    room = (ctypes.c_long * (_STATFS_BYTES // ctypes.sizeof(ctypes.c_long)))()
    if LIBC.fstatfs(fd, ctypes.byref(room)) != 0:
        raise failed()
    return room[0] & 0xFFFFFFFF


def has_fine_times() -> bool:
    """Say whether the kernel gives such times. Source: Documentation/filesystems/multigrain-ts.rst, Linux 6.13."""
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return version is not None and (int(version[1]), int(version[2])) >= _FINE_TIMES_SINCE
