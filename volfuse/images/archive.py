"""Reading tar archives of strangers: each header becomes an `Entry` that is safe to look at, or an error.

The formats are parsed by `tarfile` (ustar, pax, GNU with long names and sparse files), which is used here only. What
an entry may do to a tree is the business of `images.layers`.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import IO, cast

from volfuse.errors import InvalidSpec
from volfuse.images.streams import TarBytes

__all__ = ["Content", "Entry", "EntryKind", "read_entries", "shown", "split_name"]

_NS = 10**9
_LATEST_S = 1 << 60
_BUFFER_BYTES = 1 << 16
"""Read ahead of what is needed; small against the limit of a header, which it counts in."""
_XATTR = "SCHILY.xattr."
_HIDDEN_XATTRS = ("trusted.overlay.", "user.overlay.")
"""Overlayfs obeys them: an image with such attributes would say where the kernel looks for its files."""
_LARGEST_ID = 0xFFFF_FFFE
_PARSING_ERRORS = (tarfile.TarError, ValueError, OverflowError, IndexError)


class EntryKind(Enum):
    """Kinds of file that an image may hold."""

    DIRECTORY = "directory"
    FILE = "file"
    SYMLINK = "symlink"
    HARD_LINK = "hard link"
    FIFO = "fifo"


_KINDS = {
    tarfile.DIRTYPE: EntryKind.DIRECTORY,
    tarfile.REGTYPE: EntryKind.FILE,
    tarfile.AREGTYPE: EntryKind.FILE,
    tarfile.CONTTYPE: EntryKind.FILE,
    tarfile.GNUTYPE_SPARSE: EntryKind.FILE,
    tarfile.SYMTYPE: EntryKind.SYMLINK,
    tarfile.LNKTYPE: EntryKind.HARD_LINK,
    tarfile.FIFOTYPE: EntryKind.FIFO,
}


class Content:
    """What is in a file, read once and forward."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, nothing at the end.

        Raises:
            InvalidSpec: the archive ends too soon.
        """
        try:
            return self._file.read(size) or b""
        except _PARSING_ERRORS as exc:
            raise InvalidSpec(f"invalid archive: {exc}") from exc

    def seek(self, offset: int) -> None:
        """Skip to an offset, which is behind all that was read."""
        self._file.seek(offset)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Attributes:
        path: components below the root, without `.` and `..`; empty for the root itself.
        mtime_ns: may be negative.
        link: target of a symbolic link, verbatim; of a hard link the name as it is written.
        extents: offset and length of what is not a hole, None for a file without holes.
        data: content of a file, to be read before the next entry is asked for; None for other kinds.
    """

    path: tuple[bytes, ...]
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    link: bytes
    xattrs: dict[str, bytes]
    extents: Sequence[tuple[int, int]] | None
    data: Content | None

    @property
    def name(self) -> str:
        """The name for messages."""
        return shown(b"/".join(self.path))


def shown(name: bytes) -> str:
    """Return a name of any bytes as quoted printable text."""
    return ascii(os.fsdecode(name)) if not name.isascii() else repr(name.decode())


def read_entries(stream: TarBytes) -> Iterator[Entry]:
    """Yield the entries of a tar. Nothing is kept of those that were yielded.

    Raises:
        InvalidSpec: the archive is broken or cut off, or an entry is a device, has an absolute name or one with
            `..`, or is otherwise not for an image; the text names it.
    """
    stream.expect_header()
    try:
        tar = tarfile.open(  # noqa: SIM115 - a stream, nothing to close
            fileobj=cast("IO[bytes]", stream),
            mode="r|",
            tarinfo=_StrictInfo,
            encoding="utf-8",
            errors="surrogateescape",
            bufsize=_BUFFER_BYTES,
        )
        source = cast("IO[bytes]", tar.fileobj)
        while (member := _next(tar)) is not None:
            stream.expect_data()
            yield _entry(tar, member)
            # What the consumer left of the data is skipped while its size is no header's.
            source.seek(tar.offset)
            stream.expect_header()
    except _PARSING_ERRORS as exc:
        raise InvalidSpec(f"invalid archive: {exc}") from exc
    finally:
        stream.expect_data()


class _StrictInfo(tarfile.TarInfo):
    """A header that is broken or cut off is an error: `tarfile` takes one after the first for the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _StrictInfo:
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as exc:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"{exc} at byte {tarfile_.offset}") from exc


def _next(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    member = tar.next()
    tar.members = []  # type: ignore[attr-defined]  # it would remember all of them
    return member


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    name = _bytes(member.name)
    kind = _KINDS.get(member.type)
    if kind is None:
        what = "a device" if member.type in (tarfile.CHRTYPE, tarfile.BLKTYPE) else f"of unknown type {member.type!r}"
        raise InvalidSpec(f"invalid archive: entry {shown(name)} is {what}")
    path = split_name(name)
    if not path and kind is not EntryKind.DIRECTORY:
        raise InvalidSpec(f"invalid archive: the root is a {kind.value}")
    if member.size < 0:
        raise InvalidSpec(f"invalid archive: entry {shown(name)} has a negative size")
    _check_owner(name, member.uid, member.gid)
    sparse: list[tuple[int, int]] | None = getattr(member, "sparse", None)
    return Entry(
        path=path,
        kind=kind,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        mtime_ns=_mtime_ns(member),
        size=member.size if kind is EntryKind.FILE else 0,
        link=_link(name, member),
        xattrs=_xattrs(name, member.pax_headers),
        extents=None if sparse is None else _checked_extents(name, sparse, member.size),
        data=_content(tar, member) if kind is EntryKind.FILE else None,
    )


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


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Content:
    # Its buffer asks a stream whether it can seek, which it cannot say; the file below only skips.
    return Content(cast(io.RawIOBase, cast(io.BufferedReader, tar.extractfile(member)).raw))


def _link(name: bytes, member: tarfile.TarInfo) -> bytes:
    link = _bytes(member.linkname)
    if member.type == tarfile.SYMTYPE and (not link or b"\0" in link):
        raise InvalidSpec(f"invalid archive: the target of the link {shown(name)} is empty or has a NUL")
    return link


def _check_owner(name: bytes, uid: int, gid: int) -> None:
    if not (0 <= uid <= _LARGEST_ID and 0 <= gid <= _LARGEST_ID):
        raise InvalidSpec(f"invalid archive: entry {shown(name)} has the impossible owner {uid}:{gid}")


def _checked_extents(name: bytes, sparse: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    end = 0
    for offset, length in sparse:
        if offset < end or length < 0 or offset + length > size:
            raise InvalidSpec(f"invalid archive: entry {shown(name)} has an impossible map of holes")
        end = offset + length
    return sparse


def _mtime_ns(member: tarfile.TarInfo) -> int:
    """Return the time of a pax header, with its fraction, else that of the header, in seconds."""
    text = member.pax_headers.get("mtime")
    try:
        seconds = Decimal(int(member.mtime) if text is None else text)
        if not abs(seconds) < _LATEST_S:
            raise InvalidSpec(f"invalid archive: entry {shown(_bytes(member.name))} has the time {seconds}")
    except ArithmeticError as exc:
        raise InvalidSpec(f"invalid archive: entry {shown(_bytes(member.name))} has the time {text!r}") from exc
    return int(seconds * _NS)


def _xattrs(name: bytes, headers: Mapping[str, str]) -> dict[str, bytes]:
    """Return the extended attributes of pax headers (SCHILY.xattr, as GNU tar and Docker write them)."""
    found = {key.removeprefix(_XATTR): _bytes(value) for key, value in headers.items() if key.startswith(_XATTR)}
    for attribute in found:
        if attribute.startswith(_HIDDEN_XATTRS):
            raise InvalidSpec(f"invalid archive: entry {shown(name)} has the attribute {attribute}")
    return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
