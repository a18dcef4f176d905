"""Parts of replies: entries of listings, device numbers."""

from __future__ import annotations

from typing import Final

from volfuse.transport.kernel.wire.layouts import LAYOUTS

__all__ = ["PADDING", "decode_device", "dirent", "encode_device"]

_DIRENT = LAYOUTS["fuse_dirent"].struct
PADDING: Final = (b"", b"\0" * 7, b"\0" * 6, b"\0" * 5, b"\0" * 4, b"\0" * 3, b"\0" * 2, b"\0")


def dirent(inode: int, offset: int, kind: int, name: bytes) -> bytes:
    """Return one entry of READDIR; one of READDIRPLUS is a fuse_entry_out and this.

    Args:
        offset: what the kernel asks with to go on after this entry.
        kind: file type as in d_type, that is, the mode's type bits shifted down by 12.
    """
    size = len(name)
    return _DIRENT.pack(inode, offset, size, kind) + name + PADDING[size & 7]


def encode_device(major: int, minor: int) -> int:
    """Return a device number as fuse_attr.rdev has it (new_encode_dev of include/linux/kdev_t.h)."""
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)


def decode_device(number: int) -> tuple[int, int]:
    """Return major and minor of a device number as fuse_mknod_in.rdev has it (new_decode_dev)."""
    return (number & 0xFFF00) >> 8, (number & 0xFF) | ((number >> 12) & 0xFFF00)
