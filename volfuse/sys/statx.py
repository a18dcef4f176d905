"""statx(2): what stat(2) says, and the birth time, which `os.stat` lacks.

An answer is kept as the bytes that the kernel wrote, and what decides which file it is as integers. It is overwritten
by the next call, so that no call allocates anything. Source: include/uapi/linux/stat.h, struct statx.
"""

from __future__ import annotations

import ctypes
import os
from struct import Struct
from typing import Final

from volfuse.sys.raw import statx, u16, u32, u64

__all__ = ["AT_EMPTY_PATH", "STATX_BASIC_STATS", "STATX_BTIME", "Statx", "StatxFields"]

AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_NO_AUTOMOUNT: Final = 0x800
AT_EMPTY_PATH: Final = 0x1000
STATX_BASIC_STATS: Final = 0x7FF
STATX_BTIME: Final = 0x800

_SIZE: Final = 256
_FIELDS: Final = Struct("<IIQIIIH2xQQQQqI4xqI4xqI4xqI4xIIII")
_ASKED: Final = STATX_BASIC_STATS | STATX_BTIME
_FLAGS: Final = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT
_EMPTY_FLAGS: Final = _FLAGS | AT_EMPTY_PATH

# Offsets in struct statx.
_NLINK: Final = 16
_MODE: Final = 28
_INODE: Final = 32
_SIZE_AT: Final = 40
_SIZE_END: Final = 48
_BTIME: Final = 80
_CTIME: Final = 96
_MTIME: Final = 112
_MTIME_END: Final = 128
_DEV_MAJOR: Final = 136
_DEV_MINOR: Final = 140

StatxFields = tuple[int, ...]
"""mask, blksize, attributes, nlink, uid, gid, mode, ino, size, blocks, attributes_mask, atime, its ns, btime, ns,
ctime, ns, mtime, ns, rdev major and minor, dev major and minor: 23 integers."""


class Statx:
    """The last answer. For one thread.

    Attributes:
        buffer: struct statx.
        mode: type and permission bits.
        major: of the device the file lies on, as `minor`.
    """

    __slots__ = ("_address", "_keep", "buffer", "inode", "major", "minor", "mode")

    def __init__(self) -> None:
        self.buffer = bytearray(_SIZE)
        self._keep = (ctypes.c_char * _SIZE).from_buffer(self.buffer)
        self._address = ctypes.addressof(self._keep)
        self.mode = self.inode = self.major = self.minor = 0

    def at(self, dirfd: int, name: bytes) -> Statx:
        """Ask what `name` in a directory is, and return this object; a link is itself.

        Args:
            name: empty for the descriptor's own file.
        """
        number = self.find(dirfd, name)
        if number:
            raise OSError(number, os.strerror(number), name)
        return self

    def find(self, dirfd: int, name: bytes) -> int:
        """Ask as `at` does, and return 0 or the errno: for what is often not there."""
        number = statx(dirfd, name, _FLAGS if name else _EMPTY_FLAGS, _ASKED, self._address)
        if number:
            return number
        buffer = self.buffer
        self.mode = u16(buffer, _MODE)
        self.inode = u64(buffer, _INODE)
        self.major = u32(buffer, _DEV_MAJOR)
        self.minor = u32(buffer, _DEV_MINOR)
        return 0

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.mode & 0xF000 == 0x4000

    def birth_ns(self) -> int:
        """Return the birth time in nanoseconds modulo 2^64; 0 where the file system has none."""
        return u64(self.buffer, _BTIME) * 1_000_000_000 + u32(self.buffer, _BTIME + 8) & 0xFFFFFFFFFFFFFFFF

    def changed(self) -> bytes:
        """Return the times of the last change of attributes and of content, as bytes to compare."""
        return bytes(self.buffer[_CTIME:_MTIME_END])

    def content(self) -> bytes:
        """Return size and time of the last change of content, as bytes to compare."""
        return bytes(self.buffer[_SIZE_AT:_SIZE_END] + self.buffer[_MTIME:_MTIME_END])

    def size(self) -> int:
        """Return the size in bytes."""
        return u64(self.buffer, _SIZE_AT)

    def links(self) -> int:
        """Return how many names the file has."""
        return u32(self.buffer, _NLINK)

    def fields(self) -> StatxFields:
        """Return everything."""
        return _FIELDS.unpack_from(self.buffer)
