"""Requests decoded: the header, and for each opcode what follows it.

A request lies at the start of a reader's buffer, which is reused: whatever outlives the request must be copied out.
`end` is where the request ends; `BODY_SIZE` has been checked against it once (`check`), so fixed parts are read
without another look.
"""

from __future__ import annotations

from typing import Final

from volfuse.transport.kernel.wire.errors import ProtocolError
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode

__all__ = [
    "BODY",
    "BODY_SIZE",
    "HEADER",
    "HEADER_SIZE",
    "check",
    "forgets_at",
    "header",
    "name_at",
    "names_at",
    "payload_at",
    "value_at",
]

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

BODY_SIZE: Final[dict[int, int]] = {opcode: BODY[opcode].size if opcode in BODY else 0 for opcode in Opcode}
BODY_SIZE[Opcode.SETXATTR] = 8  # without FUSE_SETXATTR_EXT it ends after `flags`
"""Its size, 0 where only names follow. INIT is not in `BODY`: its struct grew (see `negotiation`)."""

SETXATTR_IN_COMPAT: Final = 8
"""fuse_setxattr_in without FUSE_SETXATTR_EXT."""


def header(buffer: bytearray, length: int) -> tuple[int, int, int, int, int, int, int, int]:
    """Split the header: len, opcode, unique, nodeid, uid, gid, pid, total_extlen.

    Args:
        buffer: starts with the request.
        length: bytes that were read.

    Raises:
        ProtocolError: the bytes are no whole request.
    """
    if length < HEADER_SIZE:
        raise ProtocolError(f"request of {length} bytes: shorter than its header")
    fields: tuple[int, int, int, int, int, int, int, int] = HEADER.unpack_from(buffer)
    if fields[0] != length:
        raise ProtocolError(f"request says {fields[0]} bytes and has {length}")
    return fields


def check(opcode: int, length: int, total_extlen: int) -> int:
    """Return where the body ends, extensions left out.

    Raises:
        ProtocolError: the request is too short for its opcode.
    """
    end = length - 8 * total_extlen
    if end < HEADER_SIZE + BODY_SIZE.get(opcode, 0):
        raise ProtocolError(f"opcode {opcode}: {length} bytes are too few")
    return end


_DOTS = frozenset({b".", b".."})


def name_at(buffer: bytearray, start: int, end: int) -> bytes:
    """Return the name from `start` to its NUL, which is the last byte before `end`.

    Raises:
        ProtocolError: it is empty, not ended, has a NUL or a slash in it, or is `.` or `..`.
    """
    name = bytes(buffer[start : end - 1])
    if not name or buffer[end - 1] or 0 in name or 47 in name or name in _DOTS:
        raise ProtocolError(f"not a name: {name[:300]!r}")
    return name


def value_at(buffer: bytearray, start: int, end: int) -> tuple[bytes, int]:
    """Return a string that ends with NUL, whatever is in it, and where the next one starts.

    Raises:
        ProtocolError: there is no NUL before `end`.
    """
    stop = buffer.find(0, start, end)
    if stop < 0:
        raise ProtocolError("a string does not end")
    return bytes(buffer[start:stop]), stop + 1


def names_at(buffer: bytearray, start: int, end: int) -> tuple[bytes, bytes]:
    """Return the two names of a rename."""
    stop = buffer.find(0, start, end)
    if stop < 0:
        raise ProtocolError("a name does not end")
    return name_at(buffer, start, stop + 1), name_at(buffer, stop + 1, end)


def payload_at(buffer: bytearray, start: int, end: int, size: int) -> memoryview:
    """Return `size` bytes from `start` as a view of the buffer, valid until the buffer is reused.

    Raises:
        ProtocolError: there are fewer.
    """
    if start + size > end:
        raise ProtocolError(f"payload of {size} bytes, {end - start} there")
    return memoryview(buffer)[start : start + size]


def forgets_at(buffer: bytearray, start: int, end: int, count: int) -> list[tuple[int, int]]:
    """Return node id and number of lookups of each entry of a BATCH_FORGET.

    Raises:
        ProtocolError: there are fewer than `count`.
    """
    if start + count * _FORGET_ONE.size > end:
        raise ProtocolError(f"batch of {count} forgets, {end - start} bytes there")
    return [_FORGET_ONE.unpack_from(buffer, start + index * _FORGET_ONE.size) for index in range(count)]
