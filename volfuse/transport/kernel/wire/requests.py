"""Requests decoded: the header, and for each opcode what follows it.

The smallest size of an opcode's request is checked once, so fixed parts are read without another look.
"""

from __future__ import annotations

from typing import Final

from volfuse.sys.raw import piece, u16, u32, u64
from volfuse.transport.kernel.wire.errors import ProtocolError
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode

__all__ = ["BODY", "HEADER", "HEADER_SIZE", "SETXATTR_IN_COMPAT", "Request"]

HEADER: Final = LAYOUTS["fuse_in_header"].struct
HEADER_SIZE: Final = HEADER.size
_FORGET_ONE = LAYOUTS["fuse_forget_one"].struct

_STRUCT_OF = {
    Opcode.FORGET: "fuse_forget_in",
    Opcode.GETATTR: "fuse_getattr_in",
    Opcode.SETATTR: "fuse_setattr_in",
    Opcode.MKNOD: "fuse_mknod_in",
    Opcode.MKDIR: "fuse_mkdir_in",
    Opcode.RENAME: "fuse_rename_in",
    Opcode.LINK: "fuse_link_in",
    Opcode.OPEN: "fuse_open_in",
    Opcode.READ: "fuse_read_in",
    Opcode.WRITE: "fuse_write_in",
    Opcode.RELEASE: "fuse_release_in",
    Opcode.FSYNC: "fuse_fsync_in",
    Opcode.SETXATTR: "fuse_setxattr_in",
    Opcode.GETXATTR: "fuse_getxattr_in",
    Opcode.LISTXATTR: "fuse_getxattr_in",
    Opcode.FLUSH: "fuse_flush_in",
    Opcode.OPENDIR: "fuse_open_in",
    Opcode.READDIR: "fuse_read_in",
    Opcode.RELEASEDIR: "fuse_release_in",
    Opcode.FSYNCDIR: "fuse_fsync_in",
    Opcode.GETLK: "fuse_lk_in",
    Opcode.SETLK: "fuse_lk_in",
    Opcode.SETLKW: "fuse_lk_in",
    Opcode.ACCESS: "fuse_access_in",
    Opcode.CREATE: "fuse_create_in",
    Opcode.INTERRUPT: "fuse_interrupt_in",
    Opcode.IOCTL: "fuse_ioctl_in",
    Opcode.POLL: "fuse_poll_in",
    Opcode.BATCH_FORGET: "fuse_batch_forget_in",
    Opcode.FALLOCATE: "fuse_fallocate_in",
    Opcode.READDIRPLUS: "fuse_read_in",
    Opcode.RENAME2: "fuse_rename2_in",
    Opcode.LSEEK: "fuse_lseek_in",
    Opcode.COPY_FILE_RANGE: "fuse_copy_file_range_in",
    Opcode.COPY_FILE_RANGE_64: "fuse_copy_file_range_in",
    Opcode.SYNCFS: "fuse_syncfs_in",
    Opcode.TMPFILE: "fuse_create_in",
    Opcode.STATX: "fuse_statx_in",
}

BODY: Final = {opcode: LAYOUTS[name].struct for opcode, name in _STRUCT_OF.items()}
"""The fixed struct after the header, for opcodes that have one."""

SETXATTR_IN_COMPAT: Final = 8
"""fuse_setxattr_in without FUSE_SETXATTR_EXT: it ends after `flags`."""


def _smallest(opcode: int) -> int:
    """Return the bytes of the smallest request; INIT is not in `BODY`, as its struct grew (see `negotiation`)."""
    if opcode == Opcode.SETXATTR:
        return HEADER_SIZE + SETXATTR_IN_COMPAT
    return HEADER_SIZE + (BODY[Opcode(opcode)].size if opcode in BODY else 0)


_OPCODES: Final = max(Opcode) + 1
_SMALLEST: Final = [_smallest(opcode) for opcode in range(_OPCODES)]


_DOTS = frozenset({b".", b".."})

# Offsets in struct fuse_in_header.
_OPCODE: Final = 4
_UNIQUE: Final = 8
_NODEID: Final = 16
_UID: Final = 24
_GID: Final = 28
_PID: Final = 32
_EXTENSIONS: Final = 36


class Request:
    """A buffer that requests are read into, one after another, and the header of the one that is in it.

    Whatever outlives the request must be copied out.

    Attributes:
        buffer: the request, from its first byte.
        pid: thread id of the caller; 0 if it is in a pid namespace that cannot be seen from here.
        end: where the body ends, extensions left out.
    """

    __slots__ = ("buffer", "end", "gid", "nodeid", "opcode", "pid", "uid", "unique")

    def __init__(self, size: int) -> None:
        self.buffer = bytearray(size)
        self.opcode = self.unique = self.nodeid = self.uid = self.gid = self.pid = 0
        self.end = 0

    def parse(self, length: int) -> None:
        """Take the header of a request of `length` bytes; `unique` is right even if the rest is not.

        Raises:
            ProtocolError: it is no whole request, or too short for its opcode.
        """
        buffer = self.buffer
        self.unique = self.opcode = 0
        if length < HEADER_SIZE:
            raise ProtocolError(f"request of {length} bytes: shorter than its header")
        self.unique = u64(buffer, _UNIQUE)
        self.opcode = u32(buffer, _OPCODE)
        self.nodeid = u64(buffer, _NODEID)
        self.uid = u32(buffer, _UID)
        self.gid = u32(buffer, _GID)
        self.pid = u32(buffer, _PID)
        self.end = length - 8 * u16(buffer, _EXTENSIONS)
        if u32(buffer, 0) != length:
            raise ProtocolError(f"request says {u32(buffer, 0)} bytes and has {length}")
        if self.end < HEADER_SIZE or (self.opcode < _OPCODES and self.end < _SMALLEST[self.opcode]):
            raise ProtocolError(f"opcode {self.opcode}: {length} bytes are too few")

    def name(self, start: int) -> bytes:
        """Return the name from `start` to its NUL, which is the last byte of the body.

        Raises:
            ProtocolError: it is empty, not ended, has a NUL or a slash in it, or is `.` or `..`.
        """
        return _name(self.buffer, start, self.end)

    def names(self, start: int) -> tuple[bytes, bytes]:
        """Return the two names of a rename."""
        stop = self.buffer.find(0, start, self.end)
        if stop < 0:
            raise ProtocolError("a name does not end")
        return _name(self.buffer, start, stop + 1), _name(self.buffer, stop + 1, self.end)

    def name_and_value(self, start: int) -> tuple[bytes, bytes]:
        """Return the name and the content of a symbolic link."""
        stop = self.buffer.find(0, start, self.end) + 1 or self.end
        return _name(self.buffer, start, stop), self.value(stop)[0]

    def value(self, start: int) -> tuple[bytes, int]:
        """Return a string that ends with NUL, whatever is in it, and where the next one starts.

        Raises:
            ProtocolError: there is no NUL.
        """
        stop = self.buffer.find(0, start, self.end)
        if stop < 0:
            raise ProtocolError("a string does not end")
        return bytes(self.buffer[start:stop]), stop + 1

    def payload(self, start: int, size: int) -> memoryview:
        """Return `size` bytes from `start` as a view of the buffer.

        Raises:
            ProtocolError: there are fewer.
        """
        if start + size > self.end:
            raise ProtocolError(f"payload of {size} bytes, {self.end - start} there")
        return memoryview(self.buffer)[start : start + size]

    def forgets(self, start: int, count: int) -> list[tuple[int, int]]:
        """Return node id and number of lookups of each entry of a BATCH_FORGET.

        Raises:
            ProtocolError: there are fewer than `count`.
        """
        if start + count * _FORGET_ONE.size > self.end:
            raise ProtocolError(f"batch of {count} forgets, {self.end - start} bytes there")
        return [_FORGET_ONE.unpack_from(self.buffer, start + index * _FORGET_ONE.size) for index in range(count)]


def _name(buffer: bytearray, start: int, end: int) -> bytes:
    name = piece(buffer, start, end - 1)
    if not name or buffer[end - 1] or 0 in name or 47 in name or name in _DOTS:
        raise ProtocolError(f"not a name: {name[:300]!r}")
    return name
