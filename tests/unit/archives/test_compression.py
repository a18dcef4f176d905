"""Compression is known by the bytes; what is wrong with them is the archive's fault, what fails below is not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable

import pytest

from volfuse.archives.broken import BrokenArchive
from volfuse.archives.compression import decompressed, drain

CONTENT = os.urandom(3_000) * 50


class Trickle:
    """Gives a byte at a time, and fails at the end if it is told to."""

    def __init__(self, content: bytes, failure: OSError | None = None) -> None:
        self._file = io.BytesIO(content)
        self._failure = failure

    def read(self, size: int, /) -> bytes:
        piece = self._file.read(min(size, 1))
        if not piece and self._failure:
            raise self._failure
        return piece


def _zstd(content: bytes) -> bytes:
    return pytest.importorskip("zstandard").compress(content)


COMPRESSIONS = [gzip.compress, bz2.compress, lzma.compress, _zstd]


@pytest.mark.parametrize("compress", [bytes, *COMPRESSIONS])
def test_content_is_the_same_however_it_comes(compress: Callable[[bytes], bytes]) -> None:
    unpacked = decompressed(Trickle(compress(CONTENT)))
    read = b"".join(iter(lambda: unpacked.read(10_000), b""))
    assert read == CONTENT


def test_nothing_at_all_is_told_from_compressed_nothing() -> None:
    assert decompressed(io.BytesIO(b"")) is None
    assert decompressed(io.BytesIO(gzip.compress(b""))).read(1) == b""


@pytest.mark.parametrize("compress", COMPRESSIONS)
def test_broken_data_is_the_archives_fault(compress: Callable[[bytes], bytes]) -> None:
    broken = compress(CONTENT)[:6] + b"garbage" * 100
    with pytest.raises(BrokenArchive, match="invalid archive: "):
        drain(decompressed(io.BytesIO(broken)))


@pytest.mark.parametrize("compress", [bytes, *COMPRESSIONS])
@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), ConnectionError("the client went away")])
def test_errors_of_the_stream_below_pass(compress: Callable[[bytes], bytes], failure: OSError) -> None:
    with pytest.raises(type(failure)) as caught:
        drain(decompressed(Trickle(compress(CONTENT)[:-1], failure)))
    assert caught.value is failure
