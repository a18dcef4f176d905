"""Listings kept as they were sent, for directories that are read again and again and have not changed.

A listing is used only while the directory's change and modification times are what they were, and it is kept only if
those were well in the past when it was read: whatever changes the directory later then gives it another time. Only
file systems on a block device of this machine are trusted with that, since other clocks may be wrong.
"""

from __future__ import annotations

import collections
import threading
import time
from struct import Struct
from typing import Final

__all__ = ["Listings"]

_LIMIT: Final = 64
_SETTLED_NS: Final = 100_000_000
"""More than a step of the clock that files get their times from (10 ms at HZ=100)."""

_Key = tuple[bytes, int, int]
"""Key of the directory, size that was asked for, length of what goes before each entry."""
_TIMES: Final = Struct("<qI4xqI4x")


class Listings:
    """The last listings that were sent.

    What tells whether a directory has changed is what `Statx.changed` returns; empty where that is not to be trusted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # guarded by self._lock; values: times of the directory, its first entries encoded
        self._kept: collections.OrderedDict[_Key, tuple[bytes, bytes]] = collections.OrderedDict()

    def get(self, key: _Key, changed: bytes) -> bytes | None:
        """Return the first entries of a directory that last changed at `changed`."""
        kept = self._kept.get(key)
        return kept[1] if kept is not None and kept[0] == changed else None

    def clear(self) -> None:
        """Keep none."""
        with self._lock:
            self._kept.clear()

    def keep(self, key: _Key, changed: bytes, entries: bytes) -> None:
        """Keep entries that were read after the directory was seen to have changed last at `changed`."""
        ctime_s, ctime_ns, mtime_s, mtime_ns = _TIMES.unpack(changed)
        last_ns = max(ctime_s * 1_000_000_000 + ctime_ns, mtime_s * 1_000_000_000 + mtime_ns)
        if not 0 < last_ns < time.time_ns() - _SETTLED_NS:
            return
        with self._lock:
            self._kept[key] = changed, entries
            self._kept.move_to_end(key)
            if len(self._kept) > _LIMIT:
                self._kept.popitem(last=False)
