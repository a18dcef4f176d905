"""What a watched directory tells: one event of inotify, with who did it as far as that is known.

The numbers are the kernel's own (include/uapi/linux/inotify.h), so that an event passes through without translation.
"""

from __future__ import annotations

from enum import IntFlag
from struct import Struct
from typing import Final, NamedTuple

__all__ = ["CHANGES", "WatchEvent", "What", "identity", "identity_of_key"]


class What(IntFlag):
    """What happened to a name in a directory, or to the directory itself."""

    MODIFY = 0x2
    ATTRIB = 0x4
    CLOSE_WRITE = 0x8
    MOVED_FROM = 0x40
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE = 0x200
    DELETE_SELF = 0x400
    MOVE_SELF = 0x800
    UNMOUNT = 0x2000
    OVERFLOW = 0x4000
    IGNORED = 0x8000
    ISDIR = 0x40000000


CHANGES = (
    What.MODIFY
    | What.ATTRIB
    | What.CLOSE_WRITE
    | What.MOVED_FROM
    | What.MOVED_TO
    | What.CREATE
    | What.DELETE
    | What.DELETE_SELF
    | What.MOVE_SELF
)
"""All that changes something; looking and reading do not."""


class WatchEvent(NamedTuple):
    """One event of a watched directory.

    Attributes:
        name: in the directory; empty for the directory itself.
        what: bits of `What`.
        cookie: the same in both halves of a rename; 0 elsewhere, and in a half whose other one is not watched.
        author: through what it was done (a transport's object, as it was published); None for the host.
        other: with a cookie, identity of the directory in which the other half is.
    """

    name: bytes
    what: int
    cookie: int = 0
    author: object | None = None
    other: bytes = b""


_IDENTITY = Struct("<QQII")
_DIRECTORY: Final = 4
_NO_GENERATION: Final = bytes(8)


def identity(major: int, minor: int, inode: int, kind: int = _DIRECTORY) -> bytes:
    """Return what a source directory, or the bind of a file, is known by to those who watch; never empty.

    Args:
        kind: S_IFMT >> 12.
    """
    return _IDENTITY.pack(inode, 0, major, minor << 8 | kind)


def identity_of_key(key: bytes) -> bytes:
    """Return the identity of what a transport published (`Done.directory`), which may tell generations apart."""
    return key[:8] + _NO_GENERATION + key[16:]
