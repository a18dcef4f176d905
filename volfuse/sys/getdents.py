"""getdents64(2): a directory as a stream with the file system's own offsets, which `os.scandir` hides.

An offset of an earlier entry can be gone back to at any time, so a directory of any size needs no copy of its listing.
"""

from __future__ import annotations

import ctypes
from struct import Struct
from typing import Final

from volfuse.sys.libc import LIBC, failed

__all__ = ["DirectoryStream"]

_HEAD: Final = Struct("<QqHB")  # struct linux_dirent64: d_ino, d_off, d_reclen, d_type; then d_name
_GETDENTS64 = LIBC.getdents64
_GETDENTS64.restype = ctypes.c_ssize_t


class DirectoryStream:
    """Reads entries into a buffer of its own. For one thread.

    Args:
        size: of the buffer; at least 280 bytes, the longest entry.
    """

    __slots__ = ("_address", "_buffer", "_keep", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._buffer = bytearray(size)
        self._keep = (ctypes.c_char * size).from_buffer(self._buffer)
        self._address = ctypes.c_void_p(ctypes.addressof(self._keep))

    def read(self, fd: int, size: int) -> list[tuple[int, int, int, bytes]]:
        """Return the next entries: inode, offset after it, d_type, name; of at most `size` bytes, none at the end."""
        length: int = _GETDENTS64(fd, self._address, ctypes.c_size_t(min(size, self._size)))
        if length < 0:
            raise failed()
        found = []
        buffer, head, at = self._buffer, _HEAD.unpack_from, 0
        while at < length:
            inode, offset, size_of_entry, kind = head(buffer, at)
            start = at + 19
            found.append((inode, offset, kind, bytes(buffer[start : buffer.index(0, start)])))
            at += size_of_entry
        return found
