"""mount(2) and umount2(2)."""

from __future__ import annotations

import ctypes

from volfuse.sys.libc import LIBC, failed

__all__ = [
    "MNT_DETACH",
    "MS_BIND",
    "MS_NODEV",
    "MS_NOEXEC",
    "MS_NOSUID",
    "MS_PRIVATE",
    "MS_RDONLY",
    "MS_REC",
    "MS_REMOUNT",
    "mount",
    "umount2",
]

# include/uapi/linux/mount.h
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8


def mount(source: bytes, target: bytes, fs_type: bytes = b"none", flags: int = 0, options: bytes = b"") -> None:
    """Mount `source` on `target`."""
    if LIBC.mount(source, target, fs_type, ctypes.c_ulong(flags), options) != 0:
        raise failed(source, target)


def umount2(target: bytes, flags: int = 0) -> None:
    """Unmount what is on top of `target`, which is not followed if it is a link.

    Raises:
        OSError: EBUSY while something below is in use (not with MNT_DETACH), EINVAL if nothing is mounted there.
    """
    if LIBC.umount2(target, flags | UMOUNT_NOFOLLOW) != 0:
        raise failed(target)
