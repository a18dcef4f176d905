"""One member of a tar, as the archive has it: nothing is refused here but what cannot be written at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import BinaryIO

from volfuse.archives.broken import BrokenArchive, parsing
from volfuse.archives.compression import CHUNK_BYTES

__all__ = ["Content", "Kind", "Member", "parse_seconds", "write_content"]

_LARGEST_ID = 0xFFFF_FFFE


class Kind(Enum):
    """Kinds of file that a tar can hold."""

    DIRECTORY = "directory"
    FILE = "file"
    SYMLINK = "symlink"
    HARD_LINK = "hard link"
    FIFO = "fifo"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"


class Content:
    """What is in a file, holes as zeros, read once and forward, and only if `Member.has_possible_extents`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, nothing at the end.

        Raises:
            BrokenArchive: the archive ends too soon.
        """
        with parsing():
            return self._file.read(size)

    def seek(self, offset: int) -> None:
        """Skip to an offset, which is behind all that was read."""
        self._file.seek(offset)


@dataclass(frozen=True, slots=True)
class Member:
    """One member.

    Attributes:
        kind: None if `type` is unknown.
        type: as the header has it.
        mode: permission, set-id and sticky bits.
        modified: seconds as they are written, be it no number; `accessed` too, `0` if there is no such header.
        size: of a file, holes included.
        link: target of a symbolic link; of a hard link the name of another member.
        device: major and minor number.
        extents: offset and length of what is not a hole of a file.
        content: of a file, to be read before the next member is asked for; None for other kinds.
    """

    name: bytes
    kind: Kind | None
    type: bytes
    mode: int
    uid: int
    gid: int
    modified: str
    accessed: str
    size: int
    link: bytes
    device: tuple[int, int]
    xattrs: dict[str, bytes]
    extents: Sequence[tuple[int, int]]
    content: Content | None

    @property
    def has_possible_owner(self) -> bool:
        """Whether a file can have such ids; the one above them tells chown to leave what is there."""
        return 0 <= self.uid <= _LARGEST_ID and 0 <= self.gid <= _LARGEST_ID

    @property
    def has_possible_extents(self) -> bool:
        """Whether the extents follow each other and fit the size."""
        end = 0
        for offset, length in self.extents:
            if offset < end or length < 0 or offset + length > self.size:
                return False
            end = offset + length
        return True


def write_content(member: Member, fd: int) -> None:
    """Write the content of a file into an empty one, holes left out.

    Raises:
        BrokenArchive: the archive ends too soon, or the extents are impossible.
        OverflowError: no file can be so large.
    """
    assert member.content is not None
    if not member.has_possible_extents:
        raise BrokenArchive("impossible size or map of holes")
    for offset, length in member.extents:
        member.content.seek(offset)
        os.lseek(fd, offset, os.SEEK_SET)
        while length > 0:
            chunk = member.content.read(min(length, CHUNK_BYTES))
            length -= len(chunk)
            _write_all(fd, chunk)
    os.ftruncate(fd, member.size)


def parse_seconds(text: str) -> Decimal | None:
    """Return the number that a time is written as, which may be infinite; None if it is none."""
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        return None
    return None if seconds.is_nan() else seconds


def _write_all(fd: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]
