"""What archives of images may cost, and the stream that holds them to it and knows their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from volfuse.archives.broken import BrokenArchive
from volfuse.archives.compression import Readable, decompressed, drain
from volfuse.archives.reader import HEADER_BYTES
from volfuse.errors import InvalidSpec

__all__ = ["DEFAULT_LIMITS", "Limits", "TarBytes", "counted"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may cost. A limit on the ratio of compression would refuse images with large empty files.

    Attributes:
        unpacked_bytes: sum of the sizes of files, holes included, and of what leaves a decompressor. The largest
            public images unpack to some 50 GiB.
        entries: entries of all layers; the largest images have about a million.
        header_bytes: headers of one entry, see `archives.reader`.
        json_bytes: one manifest, index or config file.
    """

    unpacked_bytes: int = 64 << 30
    entries: int = 4_000_000
    header_bytes: int = HEADER_BYTES
    json_bytes: int = 8 << 20


DEFAULT_LIMITS = Limits()


class TarBytes:
    """An uncompressed tar, out of a stream that may be compressed. Reading keeps the digest and stops at the limit."""

    def __init__(self, stream: Readable, limits: Limits = DEFAULT_LIMITS) -> None:
        """Look at the beginning of a stream.

        Raises:
            BrokenArchive: there is nothing in it.
        """
        unpacked = decompressed(stream)
        if unpacked is None:
            raise BrokenArchive("empty file")
        self.limits = limits
        self._stream = unpacked
        self._total = 0
        self._digest = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, nothing at the end.

        Raises:
            InvalidSpec: the limit is passed, or the compressed data is broken.
        """
        piece = self._stream.read(size)
        self._total += len(piece)
        self._digest.update(piece)
        if self._total > self.limits.unpacked_bytes:
            raise InvalidSpec(f"archive is too large: more than {self.limits.unpacked_bytes} bytes unpacked")
        return piece

    def finish(self) -> str:
        """Read what is left and return the digest of all: the diff id of a layer."""
        drain(self)
        return f"sha256:{self._digest.hexdigest()}"


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
