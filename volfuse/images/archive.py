"""What an archive of an image may hold: each member becomes an `Entry` that is safe to look at, or an error.

Absolute names, names with `..`, devices, impossible owners and times, and the attributes that overlayfs obeys are
refused. What an entry does to a tree is the business of `images.layers`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from volfuse.archives.members import Kind, Member, parse_seconds
from volfuse.archives.reader import read_members
from volfuse.errors import InvalidSpec
from volfuse.images.streams import TarBytes

__all__ = ["Entry", "Metadata", "read_entries", "shown", "split_name"]

_NS = 10**9
_LATEST_S = 1 << 60
_HIDDEN_XATTRS = ("trusted.overlay.", "user.overlay.")
"""Overlayfs obeys them: an image with such attributes would say where the kernel looks for its files."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file has besides its content; `mtime_ns` may be negative."""

    uid: int
    gid: int
    mode: int
    mtime_ns: int
    xattrs: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Attributes:
        path: components below the root, without `.` and `..`; empty for the root itself.
        kind: no device.
        member: the entry as it is written.
    """

    path: tuple[bytes, ...]
    kind: Kind
    metadata: Metadata
    member: Member

    @property
    def name(self) -> str:
        """The name for messages."""
        return shown(b"/".join(self.path))

    @property
    def size(self) -> int:
        """Size of a file, holes included; 0 for other kinds."""
        return self.member.size if self.kind is Kind.FILE else 0


def shown(name: bytes) -> str:
    """Return a name of any bytes as quoted printable text."""
    return ascii(os.fsdecode(name)) if not name.isascii() else repr(name.decode())


def read_entries(stream: TarBytes) -> Iterator[Entry]:
    """Yield the entries of a tar. Nothing is kept of those that were yielded.

    Raises:
        InvalidSpec: the archive is broken or cut off, or an entry is a device, has an absolute name or one with
            `..`, or is otherwise not for an image; the text names it.
    """
    for member in read_members(stream, stream.limits.header_bytes):
        yield _entry(member)


def _entry(member: Member) -> Entry:
    kind = _checked_kind(member)
    path = split_name(member.name)
    if not path and kind is not Kind.DIRECTORY:
        raise InvalidSpec(f"invalid archive: the root is a {kind.value}")
    if member.size < 0:
        raise _refused(member, "has a negative size")
    if not member.has_possible_owner:
        raise _refused(member, f"has the impossible owner {member.uid}:{member.gid}")
    mtime_ns = _mtime_ns(member)
    if kind is Kind.SYMLINK and (not member.link or b"\0" in member.link):
        raise InvalidSpec(f"invalid archive: the target of the link {shown(member.name)} is empty or has a NUL")
    for attribute in member.xattrs:
        if attribute.startswith(_HIDDEN_XATTRS):
            raise _refused(member, f"has the attribute {attribute}")
    if not member.has_possible_extents:
        raise _refused(member, "has an impossible map of holes")
    return Entry(path, kind, Metadata(member.uid, member.gid, member.mode, mtime_ns, member.xattrs), member)


def _refused(member: Member, why: str) -> InvalidSpec:
    return InvalidSpec(f"invalid archive: entry {shown(member.name)} {why}")


def _checked_kind(member: Member) -> Kind:
    match member.kind:
        case None:
            raise _refused(member, f"is of unknown type {member.type!r}")
        case Kind.CHARACTER_DEVICE | Kind.BLOCK_DEVICE:
            raise _refused(member, "is a device")
        case kind:
            return kind


def split_name(name: bytes) -> tuple[bytes, ...]:
    """Return the components of an entry's name.

    Raises:
        InvalidSpec: the name is absolute, or has `..` or a NUL in it.
    """
    if name.startswith(b"/"):
        raise InvalidSpec(f"invalid archive: entry {shown(name)} has an absolute name")
    components = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if b".." in components:
        raise InvalidSpec(f"invalid archive: entry {shown(name)} leads out of the archive")
    if b"\0" in name:
        raise InvalidSpec(f"invalid archive: entry {shown(name)} has a NUL in its name")
    return components


def _mtime_ns(member: Member) -> int:
    seconds = parse_seconds(member.modified)
    if seconds is None:
        raise _refused(member, f"has the time {member.modified!r}")
    if not -_LATEST_S < seconds < _LATEST_S:
        raise _refused(member, f"has the time {seconds}")
    return int(seconds * _NS)
