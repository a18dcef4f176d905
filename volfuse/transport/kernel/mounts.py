"""What the transport knows of one mount of a view: caching, opening, numbers."""

from __future__ import annotations

import logging
import os
import stat
from struct import Struct
from typing import Any, Final

from volfuse.core.coherence import Coherence
from volfuse.fs.source import MissingSource, Source
from volfuse.fs.view import Mount
from volfuse.sys.statfs import FINE_TIMES, LOCAL_FILE_SYSTEMS, OVERLAYFS_SUPER_MAGIC, has_fine_times
from volfuse.sys.statx import Statx
from volfuse.transport.kernel.wire.encoding import file_key

__all__ = ["ENDLESS", "ENDLESS_NAME", "NAME_AND_TICK", "MountState", "Timeouts", "both_keys"]

_log = logging.getLogger(__name__)

TICK_NS: Final = 1_000_000
"""Attribute timeout of shared sources: one kernel tick, which spares the GETATTR that would follow each LOOKUP."""
ENDLESS_S: Final = 1 << 30


class Timeouts:
    """How long the kernel may go by what it is told.

    Attributes:
        entry: entry_valid, attr_valid, entry_valid_nsec, attr_valid_nsec, as in fuse_entry_out.
        attr: attr_valid, attr_valid_nsec, padding, as in fuse_attr_out.
        attr_ns: how long attributes may be used, in all.
    """

    __slots__ = ("attr", "attr_ns", "entry")

    def __init__(self, entry_s: int, attr_s: int, attr_ns: int = 0) -> None:
        self.entry = _ENTRY_TIMEOUTS.pack(entry_s, attr_s, 0, attr_ns)
        self.attr = _ATTR_TIMEOUT.pack(attr_s, attr_ns)
        self.attr_ns = attr_s * 1_000_000_000 + attr_ns

    def with_name_of(self, other: Timeouts) -> Timeouts:
        """Return these for attributes, and for the name the other's."""
        entry_s, _, _, _ = _ENTRY_TIMEOUTS.unpack(other.entry)
        attr_s, attr_ns = _ATTR_TIMEOUT.unpack(self.attr)
        return Timeouts(entry_s, attr_s, attr_ns)


_ENTRY_TIMEOUTS = Struct("<QQII")
_ATTR_TIMEOUT = Struct("<QI4x")
ENDLESS: Final = Timeouts(ENDLESS_S, ENDLESS_S)
ENDLESS_NAME: Final = Timeouts(ENDLESS_S, 0)
NAME_AND_TICK: Final = Timeouts(ENDLESS_S, 0, TICK_NS)
_UNCACHED: Final = Timeouts(0, 0)
_TICK: Final = Timeouts(0, 0, TICK_NS)

_SAME_EVERYWHERE = frozenset({stat.S_IFIFO >> 12, stat.S_IFSOCK >> 12, stat.S_IFDIR >> 12})
_READONLY = 16
_KIND_AT = 20


class MountState:
    """One mount of one view.

    Attributes:
        nodes: of its directories, by key, and by path for those that only the view has. For `NodeTable`.
        timeouts: of directories.
        coherence: what the kernel may keep; means nothing where `private`.
        leases: whether names and attributes are granted. They may not be, although that was chosen: `strict_because`.
        strict_because: why; empty if they are, or were not chosen.
        fine_times: each change of a directory gives it another modification time, however soon it follows.
        plain: whether inode numbers on the source's own device (`major`, `minor`) are shown as they are.
        file_timeouts: of all else, unless another mount that has shown the file wants shorter ones (`File.timeouts`).
        birth: whether birth times may be part of keys: overlayfs gives a file another with its copy-up.
        local: closing a file of the source's own file system has nothing to report, as on a network file system.
        gone: the view is no longer shown: open files go on, names and directories are ESTALE.
        refused: why files are not passed through; empty if they are, or if none has been opened.
        root: `Directory` at the root of the source, once it has been looked up.
        through: what changes are known by that are made through this mount.
    """

    __slots__ = (
        "_major",
        "_minor",
        "birth",
        "coherence",
        "file_timeouts",
        "fine_times",
        "gone",
        "leases",
        "local",
        "major",
        "minor",
        "mount",
        "nodes",
        "plain",
        "private",
        "readonly",
        "refused",
        "root",
        "source",
        "strict_because",
        "through",
        "timeouts",
    )

    def __init__(self, mount: Mount, *, file_system: int) -> None:
        """Describe a mount.

        Args:
            file_system: f_type of the source.
        """
        self.nodes: dict[bytes | str, Any] = {}
        self.mount = mount
        self.source: Source | MissingSource = mount.source
        self.private = mount.private
        self.readonly = mount.readonly
        self.coherence = mount.coherence
        self.leases = mount.coherence is Coherence.LEASE and not mount.private
        self.strict_because = ""
        self.fine_times = file_system in FINE_TIMES and has_fine_times()
        self.birth = file_system != OVERLAYFS_SUPER_MAGIC
        self.local = file_system in LOCAL_FILE_SYSTEMS
        self.refused = ""
        self.gone = False
        self.root: Any = None  # nodes.Directory, which needs this module
        self.through = mount.through
        if mount.private:
            self.timeouts = self.file_timeouts = ENDLESS
        else:
            self.timeouts = _UNCACHED if mount.coherence is Coherence.EXACT else _TICK
            # A file of a read-only mount is another node than the one through which it is written.
            self.file_timeouts = _UNCACHED if mount.readonly else self.timeouts
        device = mount.source.device
        self.major, self.minor = os.major(device), os.minor(device)
        key = file_key(0, 0, self.major, self.minor << 8)
        self._major, self._minor = key[16:20], key[21:24]
        self.plain = not isinstance(mount.source, MissingSource) and mount.source.number(device, 1) == 1

    def fall_back(self, reason: str) -> None:
        """Grant nothing from now on."""
        if self.leases:
            self.leases = False
            self.strict_because = reason
            _log.warning("%s is strict instead of leased: %s", self.mount.label, reason)

    def on_own_device(self, key: bytes) -> bool:
        """Say whether the file with this key lies on the source's own file system, not on one mounted below."""
        return key[16:20] == self._major and key[21:24] == self._minor

    def name_key(self, key: bytes) -> bytes:
        """Return what names are granted for: the key that the file has on a writable mount."""
        return both_keys(key)[0] if self.readonly else key

    def inode(self, found: Statx) -> int:
        """Return the inode number that views show of what statx found."""
        if self.plain and found.minor == self.minor and found.major == self.major:
            return found.inode
        return self.source.number(os.makedev(found.major, found.minor), found.inode)

    def key(self, found: Statx) -> bytes:
        """Return the key of what statx found: inode, birth time as the generation, device, type.

        Files of a read-only mount have a node of their own, as the kernel does not say through which view it opens one.
        FIFOs and sockets have not: they are to connect views, and are writable on a read-only mount too.
        """
        kind = found.mode >> 12
        if self.readonly and kind not in _SAME_EVERYWHERE:
            kind |= _READONLY
        return file_key(found.inode, found.birth_ns() if self.birth else 0, found.major, found.minor << 8 | kind)


def both_keys(key: bytes) -> tuple[bytes, bytes]:
    """Return the keys that a file has on a writable and on a read-only mount, from either."""
    before, kind, after = key[:_KIND_AT], key[_KIND_AT] & ~_READONLY, key[_KIND_AT + 1 :]
    return before + bytes((kind,)) + after, before + bytes((kind | _READONLY,)) + after
