"""Inode numbers of a mount that shows many file systems as one.

All views are one superblock, so `st_ino` alone must tell files apart, in all views and for as long as they exist. Each
pair of tag and device is a *space*. Space 0, the device of the state root untagged, keeps its numbers: volumes look
alike on the host and in every view. A space's number and an inode number below 2^40 make one number; others are
hashed.
"""

from __future__ import annotations

import hashlib
import threading

__all__ = ["ROOT_INODE", "InodeNumbers", "combine", "synthetic_inode"]

ROOT_INODE = 1
"""Of the list of all views."""

_INODE_BITS = 40
_TAG_LIMIT = 1 << 22
"""Tags are below, hashed spaces between it and twice it: 22 + 1 + 40 bits keep the sign bit clear."""


class InodeNumbers:
    """Gives every tag and device a space of its own.

    Args:
        device: st_dev of the state root.
    """

    def __init__(self, device: int) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._spaces: dict[tuple[int, int], int] = {}  # guarded by self._lock
        self._taken: set[int] = set()  # guarded by self._lock

    def space(self, tag: int, device: int) -> int:
        """Return the space of a device seen below a source with `tag`; the same until `forget`.

        A tag is the number of the first device that asks for it; sources that share a tag stay apart.
        """
        if tag == 0 and device == self._device:
            return 0
        with self._lock:
            found = self._spaces.get((tag, device))
            if found is None:
                found = self._free_space(tag, device)
                self._spaces[tag, device] = found
                self._taken.add(found)
        return found

    def forget(self, tag: int, device: int) -> None:
        """Free the space of a source that is gone, so that a tag used again is the same number again."""
        with self._lock:
            if tag and (space := self._spaces.pop((tag, device), None)) is not None:
                self._taken.discard(space)

    def _free_space(self, tag: int, device: int) -> int:
        if 0 < tag < _TAG_LIMIT and tag not in self._taken:
            return tag
        space = _TAG_LIMIT | _hash(b"%d:%d" % (tag, device)) % _TAG_LIMIT
        while space in self._taken:
            space = _TAG_LIMIT | (space + 1) % _TAG_LIMIT
        return space


def combine(space: int, inode: int) -> int:
    """Return the number shown for `inode` of `space`."""
    if not space:
        return inode
    if inode >> _INODE_BITS:
        return _hash(b"%d/%d" % (space, inode))
    return space << _INODE_BITS | inode


def synthetic_inode(container: str, path: bytes) -> int:
    """Return the number of a directory that exists only in a view, to lead to a mount point."""
    return _hash(container.encode() + b"\0" + path)


def _hash(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1
