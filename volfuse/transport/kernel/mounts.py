"""What the transport knows of one mount of a view: caching, opening, numbers."""

from __future__ import annotations

import itertools
import os
import stat
from typing import Final

from volfuse.fs.source import MissingSource, Source
from volfuse.fs.view import Mount
from volfuse.sys.statx import StatxFields

__all__ = ["ENDLESS_S", "TICK_NS", "MountState"]

TICK_NS: Final = 1_000_000
"""Attribute timeout of shared sources: one kernel tick, which spares the GETATTR that would follow each LOOKUP."""
ENDLESS_S: Final = 1 << 30

_SAME_EVERYWHERE = frozenset({stat.S_IFIFO >> 12, stat.S_IFSOCK >> 12, stat.S_IFDIR >> 12})
_READONLY = 16
_numbers = itertools.count(1)


class MountState:
    """One mount of one view.

    Attributes:
        number: of this object; never reused.
        timeouts: entry_valid, attr_valid, entry_valid_nsec, attr_valid_nsec as in fuse_entry_out, of directories.
        plain: whether inode numbers on the source's own device (`device`) are shown as they are.
        file_timeouts: of all else.
        birth: whether birth times may be part of keys: overlayfs gives a file another with its copy-up.
        gone: the view is no longer shown: open files go on, names and directories are ESTALE.
        refused: why files are not passed through; empty if they are, or if none has been opened.
    """

    __slots__ = (
        "birth",
        "device",
        "file_timeouts",
        "gone",
        "mount",
        "number",
        "plain",
        "private",
        "readonly",
        "refused",
        "source",
        "timeouts",
    )

    def __init__(self, mount: Mount, *, exact: bool, overlay: bool) -> None:
        self.number = next(_numbers)
        self.mount = mount
        self.source: Source | MissingSource = mount.source
        self.private = mount.private
        self.readonly = mount.readonly
        self.birth = not overlay
        self.refused = ""
        self.gone = False
        if mount.private:
            self.timeouts = self.file_timeouts = (ENDLESS_S, ENDLESS_S, 0, 0)
        else:
            self.timeouts = (0, 0, 0, 0 if exact else TICK_NS)
            # A file of a read-only mount is another node than the one through which it is written.
            self.file_timeouts = (0, 0, 0, 0) if mount.readonly else self.timeouts
        device = mount.source.device
        self.device = os.major(device), os.minor(device)
        self.plain = not isinstance(mount.source, MissingSource) and mount.source.number(device, 1) == 1

    def shows_as_is(self, key: int) -> bool:
        """Say whether inode numbers on the device of the directory with this key are shown as they are."""
        return self.plain and (key >> 96 & 0xFFFFFFFF, key >> 72 & 0xFFFFFF) == self.device

    def inode(self, major: int, minor: int, inode: int) -> int:
        """Return the inode number that views show."""
        if self.plain and self.device == (major, minor):
            return inode
        return self.source.number(os.makedev(major, minor), inode)

    def key(self, found: StatxFields) -> int:
        """Return the key of what statx found: inode, type, device, and birth time as the generation.

        Files of a read-only mount have a node of their own, as the kernel does not say through which view it opens one.
        FIFOs and sockets have not: they are to connect views, and are writable on a read-only mount too.
        """
        kind = found[6] >> 12
        if self.readonly and kind not in _SAME_EVERYWHERE:
            kind |= _READONLY
        key = found[7] | kind << 64 | found[22] << 72 | found[21] << 96
        if self.birth:
            key |= (found[13] * 1_000_000_000 + found[14] & 0xFFFFFFFFFFFFFFFF) << 128
        return key
