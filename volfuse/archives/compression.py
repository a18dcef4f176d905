"""Streams of archives without their compression, read once and forward.

Compression is known by its magic number, whatever a name or a media type says.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from volfuse.archives.broken import BrokenArchive
from volfuse.errors import Unsupported

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["CHUNK_BYTES", "Readable", "decompressed", "drain"]

CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """What is needed of a stream."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, nothing at the end."""
        ...


def decompressed(stream: Readable) -> Readable | None:
    """Return what a stream holds, unpacked if it is compressed; None if it holds nothing at all.

    The stream stays the caller's; more may be read of it than is given on. Reading the result raises `BrokenArchive`
    where the compressed data is broken or cut off.

    Raises:
        Unsupported: zstd without the package that reads it.
    """
    head = _first(stream, _LONGEST_MAGIC)
    if not head:
        return None
    whole = cast(BinaryIO, io.BufferedReader(_Peeked(head, stream), CHUNK_BYTES))
    for magic, opener in _OPENERS.items():
        if head.startswith(magic):
            return opener(whole)
    return whole


def drain(stream: Readable) -> None:
    """Read a stream to its end."""
    while stream.read(CHUNK_BYTES):
        pass


def _first(stream: Readable, size: int) -> bytes:
    head = b""
    while len(head) < size and (piece := stream.read(size - len(head))):
        head += piece
    return head


class _Peeked(io.RawIOBase):
    """A stream of which the beginning was read already; it is not closed with the buffer above it."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        piece = self._head[: len(view)] or self._rest.read(len(view))
        self._head = self._head[len(piece) :]
        view[: len(piece)] = piece
        return len(piece)


class _Unpacked:
    """A decompressor whose own errors say that the archive is broken."""

    def __init__(self, reader: Readable, *errors: type[Exception]) -> None:
        self._reader = reader
        self._errors = errors

    def read(self, size: int, /) -> bytes:
        try:
            return self._reader.read(size)
        except self._errors as exc:
            if isinstance(exc, OSError) and (exc.errno is not None or isinstance(exc, ConnectionError)):
                raise  # of the stream below
            raise BrokenArchive(exc) from exc


def _gunzip(stream: BinaryIO) -> Readable:
    return _Unpacked(cast(Readable, gzip.GzipFile(fileobj=stream)), EOFError, OSError, zlib.error)


def _bunzip(stream: BinaryIO) -> Readable:
    return _Unpacked(bz2.BZ2File(stream), EOFError, OSError)


def _unxz(stream: BinaryIO) -> Readable:
    return _Unpacked(lzma.LZMAFile(stream), EOFError, lzma.LZMAError)


def _unzstd(stream: BinaryIO) -> Readable:
    try:
        import zstandard
    except ImportError as exc:
        raise Unsupported("the archive is compressed with zstd: pip install 'volfuse[zstd]' to read it") from exc
    reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
    return _Unpacked(reader, zstandard.ZstdError)


_OPENERS: dict[bytes, Callable[[BinaryIO], Readable]] = {
    b"\x1f\x8b": _gunzip,
    b"BZh": _bunzip,
    b"\xfd7zXZ\x00": _unxz,
    b"\x28\xb5\x2f\xfd": _unzstd,
}
_LONGEST_MAGIC = max(map(len, _OPENERS))
