"""Replies encoded: the header, and attributes and entries from what statx(2) wrote.

This module stays plain Python. Modules that are compiled call the functions of `encoding.pxd` under the same names; a
change here is a change there.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.replies import PADDING, encode_device

__all__ = [
    "ATTR_BYTES",
    "ENTRY_BYTES",
    "encode_attr",
    "encode_dirents",
    "encode_entry",
    "error",
    "file_key",
    "reply",
]

ENTRY_BYTES: Final = LAYOUTS["fuse_entry_out"].size
ATTR_BYTES: Final = LAYOUTS["fuse_attr"].size

_HEADER = LAYOUTS["fuse_out_header"].struct
_ATTR = LAYOUTS["fuse_attr"].struct
_STATX = LAYOUTS["fuse_statx"].struct
_DIRENT = LAYOUTS["fuse_dirent"].struct
_DIRENT64 = Struct("<QqHB")  # struct linux_dirent64; d_name follows, ended by NUL
_NODE = Struct("<QQ24s")
_KEY = Struct("<QQII")


def error(unique: int, number: int) -> bytes:
    """Return the reply that says errno `number`; 0 is success without more to say."""
    return _HEADER.pack(_HEADER.size, -number, unique)


def reply(unique: int, body: bytes) -> bytes:
    """Return a successful reply: struct fuse_out_header, then `body`."""
    return _HEADER.pack(_HEADER.size + len(body), 0, unique) + body


def encode_attr(inode: int, found: bytearray) -> bytes:
    """Return struct fuse_attr, 88 bytes.

    Args:
        inode: number that the view shows.
        found: struct statx.
    """
    (
        _, blksize, _, nlink, uid, gid, mode, _, size, blocks, _, atime, atime_ns, _, _, ctime, ctime_ns,
        mtime, mtime_ns, rdev_major, rdev_minor, _, _,
    ) = _STATX.unpack_from(found)  # fmt: skip
    return _ATTR.pack(
        inode, size, blocks, atime, mtime, ctime, atime_ns, mtime_ns, ctime_ns, mode, nlink, uid, gid,
        encode_device(rdev_major, rdev_minor), blksize, 0,
    )  # fmt: skip


def encode_entry(node_id: int, timeouts: bytes, inode: int, found: bytearray) -> bytes:
    """Return struct fuse_entry_out, 128 bytes.

    Args:
        timeouts: entry_valid, attr_valid, entry_valid_nsec, attr_valid_nsec: 24 bytes.
        inode: number that the view shows.
        found: struct statx.
    """
    return _NODE.pack(node_id, 0, timeouts) + encode_attr(inode, found)


def encode_dirents(stream: bytearray, length: int, prefix: bytes) -> tuple[bytes, int]:
    """Return the entries of a listing, and the offset after the last.

    Args:
        stream: what getdents64(2) filled, `length` bytes of it.
        prefix: goes before each struct fuse_dirent: nothing, or a fuse_entry_out.
    """
    at, offset, out = 0, 0, bytearray()
    while at < length:
        inode, offset, size, kind = _DIRENT64.unpack_from(stream, at)
        start = at + _DIRENT64.size
        name = stream[start : stream.index(0, start)]
        out += prefix + _DIRENT.pack(inode, offset, len(name), kind)
        out += name
        out += PADDING[len(name) & 7]
        at += size
    return bytes(out), offset


def file_key(inode: int, birth: int, major: int, minor_and_kind: int) -> bytes:
    """Return what tells one file from all others, 24 bytes; see `MountState.key`."""
    return _KEY.pack(inode, birth, major, minor_and_kind)
