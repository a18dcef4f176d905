"""getdents64(2): a directory as a stream with the file system's own offsets, which `os.scandir` hides.

An offset of an earlier entry can be gone back to at any time, so a directory of any size needs no copy of its listing.
"""

from __future__ import annotations

import ctypes
from struct import Struct
from typing import Final

from volfuse.sys.libc import LIBC, failed

__all__ = ["DIRENT_HEAD", "DIRENT_NAME_AT", "DirectoryStream"]

DIRENT_HEAD: Final = Struct("<QqHB")
"""struct linux_dirent64: d_ino, d_off, d_reclen, d_type; d_name follows, ended by NUL."""
DIRENT_NAME_AT: Final = DIRENT_HEAD.size

_GETDENTS64 = LIBC.getdents64
_GETDENTS64.restype = ctypes.c_ssize_t


class DirectoryStream:
    """Reads entries into a buffer of its own. For one thread.

    Args:
        size: of the buffer; at least 280 bytes, the longest entry.

    Attributes:
        buffer: what the last `fill` read.
    """

    __slots__ = ("_address", "_keep", "buffer", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.buffer = bytearray(size)
        self._keep = (ctypes.c_char * size).from_buffer(self.buffer)
        self._address = ctypes.c_void_p(ctypes.addressof(self._keep))

    def fill(self, fd: int, size: int) -> int:
        """Read the next entries, at most `size` bytes of them; return how many bytes, 0 at the end."""
        length: int = _GETDENTS64(fd, self._address, ctypes.c_size_t(min(size, self.size)))
        if length < 0:
            raise failed()
        return length
