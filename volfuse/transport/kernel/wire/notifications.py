"""Notifications encoded: messages to the kernel that answer no request (unique 0, the code in place of the error)."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final

from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Notify

__all__ = ["delete", "inval_attributes", "inval_entry", "inval_inode", "prune"]


def _with_header(name: str) -> Struct:
    return Struct("<IiQ" + LAYOUTS[name].struct.format[1:])


_INODE: Final = _with_header("fuse_notify_inval_inode_out")
_ENTRY: Final = _with_header("fuse_notify_inval_entry_out")
_DELETE: Final = _with_header("fuse_notify_delete_out")
_PRUNE: Final = _with_header("fuse_notify_prune_out")


def inval_attributes(node_id: int) -> bytes:
    """Drop the cached attributes of a node and nothing else: a negative offset leaves the pages alone.

    The kernel takes no lock for it, so it may be sent before the reply to a request that holds one.
    Source: fs/fuse/inode.c, fuse_reverse_inval_inode.
    """
    return _INODE.pack(_INODE.size, Notify.INVAL_INODE, 0, node_id, -1, 0)


def inval_inode(node_id: int, offset: int = 0, length: int = 0) -> bytes:
    """Drop attributes and the cached pages of a range; length 0 is to the end. Waits for pages under I/O."""
    return _INODE.pack(_INODE.size, Notify.INVAL_INODE, 0, node_id, offset, length)


def inval_entry(parent: int, name: bytes, flags: int = 0) -> bytes:
    """Drop a name; with FUSE_EXPIRE_ONLY only let it be asked for again. Takes the lock of the directory."""
    return _ENTRY.pack(_ENTRY.size + len(name) + 1, Notify.INVAL_ENTRY, 0, parent, len(name), flags) + name + b"\0"


def delete(parent: int, child: int, name: bytes) -> bytes:
    """Say that a name is gone, so that whoever watches hears of it. Takes the lock of the directory."""
    return _DELETE.pack(_DELETE.size + len(name) + 1, Notify.DELETE, 0, parent, child, len(name)) + name + b"\0"


def prune(node_ids: Sequence[int]) -> bytes:
    """Drop all names of nodes that nobody uses just now, in all directories. Takes no lock of a directory.

    Source: fs/fuse/inode.c, fuse_try_prune_one_inode.
    """
    size = _PRUNE.size + 8 * len(node_ids)
    return _PRUNE.pack(size, Notify.PRUNE, 0, len(node_ids), 0) + b"".join(n.to_bytes(8, "little") for n in node_ids)
