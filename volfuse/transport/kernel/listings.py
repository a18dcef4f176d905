"""Listings kept as they were sent, for directories that are read again and again and have not changed.

A listing is used only while the directory's change and modification times are what they were, and it is kept only if
those were well in the past when it was read: whatever changes the directory later then gives it another time. Only
file systems on a block device of this machine are trusted with that, since other clocks may be wrong.
"""

from __future__ import annotations

import collections
import threading
import time
from typing import Final

from volfuse.sys.statx import StatxFields

__all__ = ["Listings"]

_LIMIT: Final = 64
_SETTLED_NS: Final = 100_000_000
"""More than a step of the clock that files get their times from (10 ms at HZ=100)."""

_Key = tuple[int, int, int]
"""Key of the directory, size that was asked for, length of what goes before each entry."""


class Listings:
    """The last listings that were sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # guarded by self._lock; values: times of the directory, its first entries encoded
        self._kept: collections.OrderedDict[_Key, tuple[StatxFields, bytes]] = collections.OrderedDict()

    def get(self, key: _Key, found: StatxFields) -> bytes | None:
        """Return the first entries of a directory whose attributes are `found` now."""
        kept = self._kept.get(key)
        if kept is None or kept[0] != found[15:19]:
            return None
        return kept[1]

    def keep(self, key: _Key, found: StatxFields, entries: bytes) -> None:
        """Keep entries that were read after the directory's attributes were `found`."""
        changed_ns = max(found[15] * 1_000_000_000 + found[16], found[17] * 1_000_000_000 + found[18])
        if found[21] == 0 or not 0 < changed_ns < time.time_ns() - _SETTLED_NS:
            return
        with self._lock:
            self._kept[key] = found[15:19], entries
            self._kept.move_to_end(key)
            if len(self._kept) > _LIMIT:
                self._kept.popitem(last=False)
