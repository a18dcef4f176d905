"""Replies encoded, each with its header in one pack: `reply = ENTRY(…)` is what goes to the device.

A reply is the fuse_out_header (length, negated errno, unique of the request) and the opcode's struct. Attributes are
given as the tuple that `sys.statx` makes, in the order of struct fuse_attr; see `AttrFields`.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from volfuse.transport.kernel.wire.layouts import LAYOUTS

__all__ = [
    "ATTR_REPLY",
    "CREATE_REPLY",
    "ENTRY_REPLY",
    "HEADER_SIZE",
    "NO_ENTRY_ATTR",
    "OPEN_REPLY",
    "OUT_HEADER",
    "PADDING",
    "SIZE_REPLY",
    "STATFS_REPLY",
    "STATX_REPLY",
    "U64_REPLY",
    "dirent",
    "dirent_plus",
    "encode_device",
    "error",
    "payload",
]

OUT_HEADER: Final = LAYOUTS["fuse_out_header"].struct
HEADER_SIZE: Final = OUT_HEADER.size


def _with_header(*names: str) -> Struct:
    return Struct("<IiQ" + "".join(LAYOUTS[name].struct.format[1:] for name in names))


ENTRY_REPLY: Final = _with_header("fuse_entry_out")
ATTR_REPLY: Final = _with_header("fuse_attr_out")
OPEN_REPLY: Final = _with_header("fuse_open_out")
CREATE_REPLY: Final = _with_header("fuse_entry_out", "fuse_open_out")
STATFS_REPLY: Final = _with_header("fuse_kstatfs")
STATX_REPLY: Final = _with_header("fuse_statx_out")
SIZE_REPLY: Final = _with_header("fuse_write_out")
"""WRITE's count, GETXATTR's and LISTXATTR's size, POLL's events: 32 bits and padding."""
LOCK_REPLY: Final = _with_header("fuse_lk_out")
IOCTL_REPLY: Final = _with_header("fuse_ioctl_out")
U64_REPLY: Final = _with_header("fuse_lseek_out")
"""LSEEK's offset, COPY_FILE_RANGE_64's count."""

NO_ENTRY_ATTR: Final = (0,) * 16
"""Attributes of an answer that says that there is no such name."""

_DIRENT = LAYOUTS["fuse_dirent"].struct
_DIRENT_PLUS = LAYOUTS["fuse_direntplus"].struct
PADDING: Final = (b"", b"\0" * 7, b"\0" * 6, b"\0" * 5, b"\0" * 4, b"\0" * 3, b"\0" * 2, b"\0")


def error(unique: int, number: int) -> bytes:
    """Return the reply that says errno `number`; 0 is success without more to say."""
    return OUT_HEADER.pack(HEADER_SIZE, -number, unique)


def payload(unique: int, data: bytes) -> bytes:
    """Return the reply that is only bytes: READ, READLINK, READDIR, GETXATTR."""
    return OUT_HEADER.pack(HEADER_SIZE + len(data), 0, unique) + data


def dirent(inode: int, offset: int, kind: int, name: bytes) -> bytes:
    """Return one entry of READDIR.

    Args:
        offset: what the kernel asks with to go on after this entry.
        kind: file type as in d_type, that is, the mode's type bits shifted down by 12.
    """
    size = len(name)
    return _DIRENT.pack(inode, offset, size, kind) + name + PADDING[size & 7]


def dirent_plus(entry: tuple[int, ...], inode: int, offset: int, kind: int, name: bytes) -> bytes:
    """Return one entry of READDIRPLUS; `entry` has the fields of fuse_entry_out, node id 0 if nothing is given."""
    size = len(name)
    return _DIRENT_PLUS.pack(*entry, inode, offset, size, kind) + name + PADDING[size & 7]


def encode_device(major: int, minor: int) -> int:
    """Return a device number as fuse_attr.rdev has it (new_encode_dev of include/linux/kdev_t.h)."""
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)


def decode_device(number: int) -> tuple[int, int]:
    """Return major and minor of a device number as fuse_mknod_in.rdev has it (new_decode_dev)."""
    return (number & 0xFFF00) >> 8, (number & 0xFF) | ((number >> 12) & 0xFFF00)
