"""Byte streams of archives: what compression they have, how much may come out of them, what their digest is.

All streams are read once and forward. Compression is known by its magic number, whatever a name or a media type says.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from volfuse.errors import InvalidSpec, Unsupported

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

__all__ = ["CHUNK_BYTES", "DEFAULT_LIMITS", "DIGEST_ALGORITHMS", "Limits", "Readable", "TarBytes", "counted", "drain"]

CHUNK_BYTES = 1 << 20
DIGEST_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})
"""Algorithms of the OCI image spec (descriptor.md) and of Docker's references."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may cost. A limit on the ratio of compression would refuse images with large empty files.

    Attributes:
        unpacked_bytes: sum of the sizes of files, holes included, and of what leaves a decompressor. The largest
            public images unpack to some 50 GiB.
        entries: entries of all layers; the largest images have about a million.
        header_bytes: headers of one entry with its long names, attributes and sparse map, all of which are held in
            memory. Linux keeps at most 64 KiB of attributes a name.
        json_bytes: one manifest, index or config file.
    """

    unpacked_bytes: int = 64 << 30
    entries: int = 4_000_000
    header_bytes: int = 1 << 20
    json_bytes: int = 8 << 20


DEFAULT_LIMITS = Limits()


class Readable(Protocol):
    """What is needed of a stream."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, nothing at the end."""
        ...


class _Peeked(io.RawIOBase):
    """A stream of which the beginning was read already."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        piece = self._head[: len(view)] or self._rest.read(len(view))
        self._head = self._head[len(piece) :]
        view[: len(piece)] = piece
        return len(piece)


class TarBytes:
    """An uncompressed tar, out of a stream that may be compressed.

    Reading keeps the digest and stops at limits: at the total, and, between `expect_header` and `expect_data`, at the
    size of one header.
    """

    def __init__(self, stream: Readable, limits: Limits = DEFAULT_LIMITS) -> None:
        self._stream = _decompressed(stream)
        self._limits = limits
        self._total = 0
        self._header_end: int | None = None
        self._digest = hashlib.sha256()

    def expect_header(self) -> None:
        """Hold what is read from here to the size of a header."""
        self._header_end = self._total + self._limits.header_bytes

    def expect_data(self) -> None:
        """Lift the limit on the header."""
        self._header_end = None

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, nothing at the end.

        Raises:
            InvalidSpec: a limit is passed, or the compressed data is broken.
        """
        try:
            piece = self._stream.read(size)
        except (EOFError, zlib.error, lzma.LZMAError) as exc:
            raise InvalidSpec(f"invalid archive: {exc}") from exc
        except OSError as exc:
            if exc.errno is not None:
                raise
            raise InvalidSpec(f"invalid archive: {exc}") from exc  # from gzip and bz2
        self._total += len(piece)
        self._digest.update(piece)
        if self._total > self._limits.unpacked_bytes:
            raise InvalidSpec(f"archive is too large: more than {self._limits.unpacked_bytes} bytes unpacked")
        if self._header_end is not None and self._total > self._header_end:
            raise InvalidSpec(f"invalid archive: a header is larger than {self._limits.header_bytes} bytes")
        return piece

    def finish(self) -> str:
        """Read what is left and return the digest of all: the diff id of a layer."""
        self.expect_data()
        drain(self)
        return f"sha256:{self._digest.hexdigest()}"


def drain(stream: Readable) -> None:
    """Read a stream to its end."""
    while stream.read(CHUNK_BYTES):
        pass


class _Counted:
    def __init__(self, stream: Readable, progress: Callable[[int], None]) -> None:
        self._stream = stream
        self._progress = progress
        self._done = 0

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size)
        if piece:
            self._done += len(piece)
            self._progress(self._done)
        return piece


def counted(stream: Readable, progress: Callable[[int], None]) -> Readable:
    """Return the stream with `progress` told how many bytes were read so far, after each read."""
    return _Counted(stream, progress)


def _decompressed(stream: Readable) -> Readable:
    head = b""
    while len(head) < _LONGEST_MAGIC:
        piece = stream.read(_LONGEST_MAGIC - len(head))
        if not piece:
            break
        head += piece
    whole = cast(BinaryIO, io.BufferedReader(_Peeked(head, stream), CHUNK_BYTES))
    for magic, opener in _MAGIC.items():
        if head.startswith(magic):
            return opener(whole)
    return whole


def _gunzip(stream: BinaryIO) -> Readable:
    return cast(Readable, gzip.GzipFile(fileobj=stream))


def _unzstd(stream: BinaryIO) -> Readable:
    try:
        import zstandard
    except ImportError as exc:
        raise Unsupported("the archive is compressed with zstd: pip install 'volfuse[zstd]' to read it") from exc
    return _Zstd(zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True), zstandard.ZstdError)


class _Zstd:
    """A zstd reader whose errors are those of `TarBytes.read`."""

    def __init__(self, reader: Readable, error: type[Exception]) -> None:
        self._reader = reader
        self._error = error

    def read(self, size: int, /) -> bytes:
        try:
            return self._reader.read(size)
        except self._error as exc:
            raise InvalidSpec(f"invalid archive: {exc}") from exc


_MAGIC: dict[bytes, Callable[[BinaryIO], Readable]] = {
    b"\x1f\x8b": _gunzip,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": _unzstd,
}
_LONGEST_MAGIC = max(map(len, _MAGIC))
