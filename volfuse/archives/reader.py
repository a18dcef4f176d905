"""A tar stream of a stranger, entry by entry, read once and forward.

`tarfile` parses; here its trust is taken away: a header may not be arbitrarily long, a broken one is an error and not
the end, and nothing is remembered of entries that have passed. What an entry may do is the business of `extract`.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from volfuse.errors import InvalidSpec

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["PARSING_ERRORS", "TarStream", "member_extents", "member_times", "member_xattrs", "tar_bytes"]

PARSING_ERRORS = (
    tarfile.TarError,
    ValueError,
    OverflowError,
    IndexError,
    RecursionError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
)

_HEADER_BYTES = 1 << 20
"""What the headers of one entry may take, long names, attributes and maps of holes together."""

_SKIP_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 16
_NS = 10**9
_LATEST_S = 1 << 33
_XATTR = "SCHILY.xattr."


class TarStream:
    """The members of a tar."""

    def __init__(self, stream: BinaryIO) -> None:
        self._raw = stream
        self._unpacked = _decompressed(stream)

    def members(self) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """Yield each member, and the content of a file; that is to be read before the next member is asked for.

        At the end the stream is read up: a client that still sends must not be cut off. Nothing at all is an empty
        archive.

        Raises:
            InvalidSpec: the archive is broken or cut off.
        """
        if self._unpacked is None:
            return
        try:
            source = _Forward(self._unpacked)
            source.expect_header()
            tar = tarfile.TarFile(
                fileobj=cast("IO[bytes]", source), tarinfo=_StrictInfo, encoding="utf-8", errors="surrogateescape"
            )
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would remember all of them
                source.expect_data()
                yield member, tar.extractfile(member) if member.isreg() else None
                source.expect_header()
        except PARSING_ERRORS as exc:
            raise InvalidSpec(f"invalid archive: {exc}") from exc
        while self._raw.read(_SKIP_BYTES):
            pass


class _StrictInfo(tarfile.TarInfo):
    """A header that is broken or cut off is an error: `tarfile` takes one after the first for the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _StrictInfo:
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as exc:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"{exc} at byte {tarfile_.offset}") from exc


class _Forward:
    """What `tarfile` needs of a file, over a stream that cannot go back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._position = 0
        self._header_bytes: int | None = None  # still allowed; None while data is read

    def expect_header(self) -> None:
        self._header_bytes = _HEADER_BYTES

    def expect_data(self) -> None:
        self._header_bytes = None

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, _whence: int = 0) -> None:
        if position < self._position:
            raise tarfile.ReadError("members overlap")
        while self._position < position:
            if not self._take(min(position - self._position, _SKIP_BYTES)):
                raise tarfile.ReadError("unexpected end of data")

    def read(self, size: int) -> bytes:
        if self._header_bytes is not None:
            self._header_bytes -= size
            if self._header_bytes < 0:
                raise tarfile.ReadError(f"a header is larger than {_HEADER_BYTES} bytes")
        pieces: list[bytes] = []
        while size > 0 and (piece := self._take(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _take(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._position += len(piece)
        return piece


def tar_bytes(text: str) -> bytes:
    """Return the bytes of a name or value as the archive has them."""
    return text.encode("utf-8", "surrogateescape")


def member_extents(member: tarfile.TarInfo) -> list[tuple[int, int]]:
    """Return offset and length of what is not a hole of a file.

    Raises:
        ReadError: they overlap or do not fit the size.
    """
    sparse: list[tuple[int, int]] | None = getattr(member, "sparse", None)
    extents = [(0, member.size)] if sparse is None else sparse
    end = 0
    for offset, length in extents:
        if offset < end or length < 0 or offset + length > member.size:
            raise tarfile.ReadError("impossible size or map of holes")
        end = offset + length
    return extents


def member_times(member: tarfile.TarInfo) -> tuple[int, int]:
    """Return access and modification time in nanoseconds.

    Impossible ones are the epoch, and no access is older than the modification (moby go-archive: boundTime,
    latestTime).
    """
    modified = _time_ns(member.pax_headers.get("mtime") or str(member.mtime))
    accessed = _time_ns(member.pax_headers.get("atime", "0"))
    return max(accessed, modified), modified


def member_xattrs(member: tarfile.TarInfo) -> dict[str, bytes]:
    """Return the extended attributes (SCHILY.xattr, as GNU tar and Docker write them)."""
    headers = member.pax_headers.items()
    return {key.removeprefix(_XATTR): tar_bytes(value) for key, value in headers if key.startswith(_XATTR)}


def _time_ns(text: str) -> int:
    try:
        seconds = Decimal(text)
        return int(seconds * _NS) if 0 <= seconds < _LATEST_S else 0
    except InvalidOperation:
        return 0


class _Unowned(io.RawIOBase):
    """A stream that is not closed with the buffer above it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        piece = self._stream.read(len(view))
        view[: len(piece)] = piece
        return len(piece)


def _decompressed(stream: BinaryIO) -> IO[bytes] | None:
    """Return the stream, unpacked if it begins as gzip, bzip2 or xz does; None if it is empty."""
    buffered = io.BufferedReader(_Unowned(stream), _BUFFER_BYTES)
    head = buffered.peek(6)
    if not head:
        return None
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=buffered))
    if head.startswith(b"BZh"):
        return bz2.BZ2File(buffered)
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(buffered)
    return buffered
