"""The type of a file system, which `os.fstatvfs` does not tell."""

from __future__ import annotations

import ctypes

from volfuse.sys.libc import LIBC, failed

__all__ = ["LOCAL_FILE_SYSTEMS", "OVERLAYFS_SUPER_MAGIC", "file_system_type"]

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
_STATFS_BYTES = 256  # struct statfs has 120 on 64-bit machines; f_type is the first word


def file_system_type(fd: int) -> int:
    """Return f_type of the file system that an open file, also O_PATH, lies on."""
    room = (ctypes.c_long * (_STATFS_BYTES // ctypes.sizeof(ctypes.c_long)))()
    if LIBC.fstatfs(fd, ctypes.byref(room)) != 0:
        raise failed()
    return room[0] & 0xFFFFFFFF
