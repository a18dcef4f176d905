"""ioctl(2) of /dev/fuse: backing files, whose reads and writes the kernel does itself.

This module stays plain Python. Modules that are compiled call the functions of `fusedev.pxd` under the same names; a
change here is a change there. Source: include/uapi/linux/fuse.h, FUSE_DEV_IOC_BACKING_OPEN.
"""

from __future__ import annotations

import fcntl
from struct import Struct
from typing import Final

__all__ = ["backing_close", "backing_open"]

FUSE_DEV_IOC_BACKING_OPEN: Final = 0x4010E501
FUSE_DEV_IOC_BACKING_CLOSE: Final = 0x4004E502
_MAP = Struct("<iIQ")  # struct fuse_backing_map: fd, flags, padding


def backing_open(device_fd: int, fd: int) -> int:
    """Register a file; return its backing id, which is positive, or the negated errno."""
    try:
        # The call returns the id only if its argument can be written to.
        backing: int = fcntl.ioctl(device_fd, FUSE_DEV_IOC_BACKING_OPEN, bytearray(_MAP.pack(fd, 0, 0)))
    except OSError as exc:
        return -(exc.errno or 0)
    return backing


def backing_close(device_fd: int, backing: int) -> int:
    """Give a backing id back; return 0 or the errno."""
    try:
        fcntl.ioctl(device_fd, FUSE_DEV_IOC_BACKING_CLOSE, backing.to_bytes(4, "little"))
    except OSError as exc:
        return exc.errno or 0
    return 0
