"""The change feed: what was changed in shared sources, when, and by whom.

A *change* is something that happened below a volume or bind, through a view or on the host. The feed numbers changes
from 1 on, in the order in which they were published, which for each source is the order in which they were done, and
keeps the last of them. A *cursor* names a place in the feed of one run of the daemon, its *incarnation*: a reader that
comes back with one goes on there, or is told how much it has missed.

Nothing of this is kept on disk: history that must outlive the daemon belongs to whoever follows the feed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from volfuse.core.exacttext import text_fields
from volfuse.errors import InvalidSpec

__all__ = [
    "HOST",
    "Change",
    "ChangeKind",
    "Cursor",
    "Done",
    "Entry",
    "Gap",
    "Ring",
    "Selection",
    "Through",
    "encode_change",
    "encode_gap",
]


class ChangeKind(StrEnum):
    """What was done."""

    CREATE = "create"
    """A file, FIFO, socket or device."""
    WRITE = "write"
    TRUNCATE = "truncate"
    ATTRIB = "attrib"
    """Mode, owner, times or flags."""
    RENAME = "rename"
    DELETE = "delete"
    MKDIR = "mkdir"
    RMDIR = "rmdir"
    LINK = "link"
    """Another name of a file."""
    SYMLINK = "symlink"
    XATTR = "xattr"
    LOST = "lost"
    """Changes of the host that nobody knows; the detail says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Through:
    """The way by which something was changed: one mount of one view; or, without a container, the source itself.

    Attributes:
        container: id; empty for the host.
        volume: name; empty for a bind.
        source: host path of the volume's data directory or of the bind.
        below: path in the volume at which the mount begins (a subpath); no slash around it.
    """

    container: str
    volume: str
    source: bytes
    below: bytes = b""

    def path(self, rel: bytes) -> bytes:
        """Return the path in the volume or bind of what lies at `rel` in the mount."""
        return self.below + b"/" + rel if self.below and rel else self.below or rel


HOST = "host"
"""Origin of what no view did."""


class Done(NamedTuple):
    """A change as it is published, before it has a number. Paths are below the mount.

    Attributes:
        directory: what the transport knows the source directory by that holds the name; empty if it does not.
        new_directory, new_path: of a rename; `directory` and `path` are the old place.
        uid, gid, pid: of the caller, -1 if unknown.
        written: bytes that were written, where the daemon carried them; -1 otherwise.
        size: of the file afterwards; -1 where it does not matter.
        detail: name of the extended attribute; target of the link; `exchange` of a rename that swaps two names; which
            attributes were set: `mode`, `owner`, `times`, `atime`, `mtime`, `flags`, with commas.
    """

    time_ns: int
    kind: ChangeKind
    through: Through
    directory: bytes
    path: bytes
    new_directory: bytes = b""
    new_path: bytes | None = None
    uid: int = -1
    gid: int = -1
    pid: int = -1
    command: bytes = b""
    written: int = -1
    size: int = -1
    detail: bytes = b""


Entry = tuple[int, ChangeKind, Through, bytes, bytes, bytes, bytes | None, int, int, int, bytes, int, int, bytes]
"""The fields of `Done`. A plain tuple is made in a fifth of the time that a named one takes."""


class Change(NamedTuple):
    """A change in the feed.

    Attributes:
        origin: name of the container, the last one if it is gone; `host`.
    """

    sequence: int
    origin: str
    done: Done


class Cursor(NamedTuple):
    """A place in the feed: after the change with this number, in this incarnation."""

    incarnation: str
    sequence: int

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read what `str` returns.

        Raises:
            InvalidSpec: it is no cursor.
        """
        incarnation, dash, sequence = text.partition("-")
        if not dash or not incarnation.isalnum() or not sequence.isdecimal():
            raise InvalidSpec(f"bad cursor: {text!r}")
        return cls(incarnation, int(sequence))

    def __str__(self) -> str:
        return f"{self.incarnation}-{self.sequence}"


class Gap(NamedTuple):
    """Changes that a reader has missed.

    Attributes:
        missed: how many; None if nobody knows.
        reason: why, for the user.
    """

    missed: int | None
    reason: str


class Ring:
    """The last changes. Not safe for several threads.

    They are kept as they were published, and get their numbers when they are read.

    Args:
        capacity: how many are kept.
        origin: what a container (id) is called.
    """

    def __init__(self, incarnation: str, capacity: int, origin: Callable[[str], str]) -> None:
        self.incarnation = incarnation
        self._origin = origin
        self._entries: deque[Entry] = deque(maxlen=capacity)
        self._last = 0

    @property
    def end(self) -> Cursor:
        """The place after the last change."""
        return Cursor(self.incarnation, self._last)

    def extend(self, entries: Collection[Entry]) -> None:
        """Keep changes, with the next numbers."""
        self._entries.extend(entries)
        self._last += len(entries)

    def after(self, cursor: Cursor, limit: int) -> tuple[Gap | None, Sequence[Change], Cursor]:
        """Return what comes after a place: what was missed, at most `limit` changes, and the place after them."""
        gap = None
        sequence = cursor.sequence
        if cursor.incarnation != self.incarnation or sequence > self._last:
            gap, sequence = Gap(None, "the daemon has been started anew"), 0
        begin = self._last - len(self._entries)
        if sequence < begin:
            gap = gap or Gap(begin - sequence, "the reader fell behind")
            sequence = begin
        found = [self._change(sequence + n, entry) for n, entry in enumerate(self._from(sequence - begin, limit), 1)]
        return gap, found, Cursor(self.incarnation, sequence + len(found))

    def since(self, time_ns: int) -> Cursor:
        """Return the place before the first kept change that is as young as this."""
        sequence = self._last
        for entry in reversed(self._entries):
            if entry[0] < time_ns:
                break
            sequence -= 1
        return Cursor(self.incarnation, sequence)

    def backwards(self) -> Iterator[Change]:
        """Return all that is kept, youngest first."""
        sequence = self._last + 1
        for entry in reversed(self._entries):
            sequence -= 1
            yield self._change(sequence, entry)

    def _change(self, sequence: int, entry: Entry) -> Change:
        done = Done._make(entry)
        container = done.through.container
        return Change(sequence, self._origin(container) if container else HOST, done)

    def _from(self, skipped: int, limit: int) -> list[Entry]:
        """Return entries after the first ones, going there from the nearer end."""
        kept = self._entries
        later = len(kept) - skipped
        if later > skipped:
            return list(islice(kept, skipped, skipped + limit))
        return list(islice(reversed(kept), max(later - limit, 0), later))[::-1]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which changes a reader wants; what is empty does not matter.

    Attributes:
        volume: name of a volume, or host path of a bind.
        container: id.
        path: in the volume or bind: itself and all below.
    """

    volume: str = ""
    container: str = ""
    path: bytes = b""

    def is_in(self, through: Through) -> bool:
        """Say whether changes made this way are in the volume or bind."""
        return self.volume in ("", through.volume, through.source.decode(errors="surrogateescape"))

    def takes(self, change: Change) -> bool:
        """Say whether a change is wanted."""
        done = change.done
        through = done.through
        if not self.is_in(through):
            return False
        if self.container and self.container != through.container:
            return False
        if not self.path:
            return True
        return self._below(through.path(done.path)) or (
            done.new_path is not None and self._below(through.path(done.new_path))
        )

    def _below(self, path: bytes) -> bool:
        return path == self.path or path.startswith(self.path + b"/")


def encode_change(change: Change, incarnation: str) -> bytes:
    """Return a change as a JSON object.

    A path that is no UTF-8 is given with replacement characters, and exactly in a second field ending in `Base64`.
    """
    done = change.done
    through = done.through
    message: dict[str, Any] = {
        "Cursor": f"{incarnation}-{change.sequence}",
        "Sequence": change.sequence,
        "TimeNano": done.time_ns,
        "Kind": done.kind,
        "Volume": through.volume,
        **text_fields("Source", through.source),
        **text_fields("Path", through.path(done.path)),
    }
    if done.new_path is not None:
        message |= text_fields("NewPath", through.path(done.new_path))
    message |= {"Origin": "container" if through.container else HOST}
    if through.container:
        message |= {"Container": change.origin, "ContainerID": through.container}
    message |= {
        key: value
        for key, value in (
            ("UID", done.uid),
            ("GID", done.gid),
            ("PID", done.pid),
            ("Bytes", done.written),
            ("Size", done.size),
        )
        if value >= 0
    }
    if done.command:
        message |= text_fields("Command", done.command)
    if done.detail:
        message |= text_fields("Detail", done.detail)
    return msgspec.json.encode(message)


def encode_gap(gap: Gap, cursor: Cursor) -> bytes:
    """Return as a JSON object what a reader has missed, and from where it goes on."""
    return msgspec.json.encode({"Cursor": str(cursor), "Missed": gap.missed, "Reason": gap.reason})
