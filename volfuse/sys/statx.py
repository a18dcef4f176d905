"""statx(2): attributes as integers, with the birth time, which `os.stat` lacks.

The result is decoded by one `struct` from a buffer that each caller keeps, so a call allocates little more
than the integers. Source: include/uapi/linux/stat.h, struct statx.
"""

from __future__ import annotations

import ctypes
from struct import Struct
from typing import Final

from volfuse.sys.libc import LIBC, failed

__all__ = ["AT_EMPTY_PATH", "STATX_BTIME", "StatxBuffer", "StatxFields"]

AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_NO_AUTOMOUNT: Final = 0x800
AT_EMPTY_PATH: Final = 0x1000
STATX_BASIC_STATS: Final = 0x7FF
STATX_BTIME: Final = 0x800

_SIZE = 256
_FIELDS: Final = Struct("<IIQIIIH2xQQQQqI4xqI4xqI4xqI4xIIII")
_ASKED = STATX_BASIC_STATS | STATX_BTIME
_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT
_EMPTY_FLAGS = _FLAGS | AT_EMPTY_PATH
_STATX = LIBC.statx

StatxFields = tuple[int, ...]
"""mask, blksize, attributes, nlink, uid, gid, mode, ino, size, blocks, attributes_mask, atime, its ns, btime, ns,
ctime, ns, mtime, ns, rdev major and minor, dev major and minor: 23 integers."""


class StatxBuffer:
    """Room for one result. For one thread."""

    __slots__ = ("_address", "_buffer", "_keep", "_unpack")

    def __init__(self) -> None:
        self._buffer = bytearray(_SIZE)
        self._keep = (ctypes.c_char * _SIZE).from_buffer(self._buffer)
        self._address = ctypes.c_void_p(ctypes.addressof(self._keep))
        self._unpack = _FIELDS.unpack_from

    def at(self, dirfd: int, name: bytes) -> StatxFields:
        """Return what `name` in a directory is; a link is itself. The empty name is the descriptor's own file."""
        if _STATX(dirfd, name, _FLAGS if name else _EMPTY_FLAGS, _ASKED, self._address):
            raise failed(name)
        return self._unpack(self._buffer)
