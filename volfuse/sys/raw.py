"""What is done for most requests: a few system calls, and integers out of a buffer.

Errors are returned as numbers, since raising costs more than the call. This module stays plain Python. Modules that are
compiled call the functions of `raw.pxd` under the same names; a change here is a change there.
"""

from __future__ import annotations

import ctypes
import os
from struct import Struct

from volfuse.sys.libc import LIBC

__all__ = [
    "piece",
    "raw_mkdirat",
    "raw_openat",
    "raw_renameat",
    "raw_unlinkat",
    "read",
    "statx",
    "u16",
    "u32",
    "u64",
    "write",
]

_U16, _U32, _U64 = (Struct(code).unpack_from for code in ("<H", "<I", "<Q"))
_STATX = LIBC.statx
_STATX.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)


def statx(dirfd: int, name: bytes, flags: int, mask: int, address: int) -> int:
    """Fill the struct statx at an address, 256 bytes; return 0 or the errno."""
    return ctypes.get_errno() if _STATX(dirfd, name, flags, mask, address) else 0


def raw_openat(dirfd: int, name: bytes, flags: int, mode: int) -> int:
    """Return a descriptor, or the negated errno."""
    try:
        return os.open(name, flags, mode, dir_fd=dirfd)
    except OSError as exc:
        return -(exc.errno or 0)


def raw_mkdirat(dirfd: int, name: bytes, mode: int) -> int:
    """Return 0 or the errno."""
    try:
        os.mkdir(name, mode, dir_fd=dirfd)
    except OSError as exc:
        return exc.errno or 0
    return 0


def raw_unlinkat(dirfd: int, name: bytes, directory: bool) -> int:
    """Remove a name, of a directory or of anything else; return 0 or the errno."""
    try:
        if directory:
            os.rmdir(name, dir_fd=dirfd)
        else:
            os.unlink(name, dir_fd=dirfd)
    except OSError as exc:
        return exc.errno or 0
    return 0


def raw_renameat(old_dirfd: int, old: bytes, new_dirfd: int, new: bytes) -> int:
    """Return 0 or the errno."""
    try:
        os.rename(old, new, src_dir_fd=old_dirfd, dst_dir_fd=new_dirfd)
    except OSError as exc:
        return exc.errno or 0
    return 0


def read(fd: int, buffer: bytearray) -> int:
    """Read into the buffer from its beginning; return the number of bytes, or the negated errno."""
    try:
        return os.readv(fd, (buffer,))
    except OSError as exc:
        return -(exc.errno or 0)


def write(fd: int, data: bytes) -> int:
    """Write in one call that cannot take long; return the number of bytes, or the negated errno."""
    try:
        return os.write(fd, data)
    except OSError as exc:
        return -(exc.errno or 0)


def piece(buffer: bytearray, start: int, end: int) -> bytes:
    """Return the bytes from `start` to before `end`, which must be there."""
    return bytes(buffer[start:end])


def u16(buffer: bytearray, at: int) -> int:
    """Return the integer of two bytes that begins `at` bytes into the buffer, which must be there."""
    value: int = _U16(buffer, at)[0]
    return value


def u32(buffer: bytearray, at: int) -> int:
    """Return the integer of four bytes."""
    value: int = _U32(buffer, at)[0]
    return value


def u64(buffer: bytearray, at: int) -> int:
    """Return the integer of eight bytes."""
    value: int = _U64(buffer, at)[0]
    return value
