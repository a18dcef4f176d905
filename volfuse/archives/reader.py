"""A tar stream of a stranger, member by member, read once and forward.

`tarfile` parses (ustar, pax, GNU with long names and sparse files), and is used here only; here its trust is taken
away: a header may not be arbitrarily long, a broken one is an error and not the end, and nothing is remembered of
members that have passed. What a member may do is the business of the caller.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from volfuse.archives.broken import parsing
from volfuse.archives.compression import CHUNK_BYTES, Readable
from volfuse.archives.members import Content, Kind, Member

__all__ = ["HEADER_BYTES", "XATTR_HEADER", "read_members"]

HEADER_BYTES = 1 << 20
"""What the headers of one member may take, long names, attributes and maps of holes together: all is held in memory.
Linux keeps at most 64 KiB of attributes a name."""

XATTR_HEADER = "SCHILY.xattr."
"""Beginning of the pax headers for extended attributes, as GNU tar and Docker write them."""

_KINDS = {
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.REGTYPE: Kind.FILE,
    tarfile.AREGTYPE: Kind.FILE,
    tarfile.CONTTYPE: Kind.FILE,
    tarfile.GNUTYPE_SPARSE: Kind.FILE,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.LNKTYPE: Kind.HARD_LINK,
    tarfile.FIFOTYPE: Kind.FIFO,
    tarfile.CHRTYPE: Kind.CHARACTER_DEVICE,
    tarfile.BLKTYPE: Kind.BLOCK_DEVICE,
}


def read_members(stream: Readable, header_bytes: int = HEADER_BYTES) -> Iterator[Member]:
    """Yield the members of an uncompressed tar, up to the mark of its end; what is behind that is not read.

    Args:
        header_bytes: what the headers of one member may take.

    Raises:
        BrokenArchive: the archive is broken or cut off.
    """
    with parsing():
        source = _Forward(stream, header_bytes)
        source.expect_header()
        tar = tarfile.TarFile(
            fileobj=cast("IO[bytes]", source), tarinfo=_StrictInfo, encoding="utf-8", errors="surrogateescape"
        )
        while (info := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # it would remember all of them
            source.expect_data()
            yield _member(tar, info)
            source.expect_header()


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

    def __init__(self, stream: Readable, header_bytes: int) -> None:
        self._stream = stream
        self._header_bytes = header_bytes
        self._position = 0
        self._left: int | None = None  # bytes that the header may still take; None while data is read

    def expect_header(self) -> None:
        self._left = self._header_bytes

    def expect_data(self) -> None:
        self._left = None

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, _whence: int = 0) -> None:
        if position < self._position:
            raise tarfile.ReadError("members overlap")
        while self._position < position:
            if not self._take(min(position - self._position, CHUNK_BYTES)):
                raise tarfile.ReadError("unexpected end of data")

    def read(self, size: int) -> bytes:
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise tarfile.ReadError(f"a header is larger than {self._header_bytes} bytes")
        pieces: list[bytes] = []
        while size > 0 and (piece := self._take(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _take(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._position += len(piece)
        return piece


def _member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    kind = _KINDS.get(info.type)
    sparse: list[tuple[int, int]] | None = getattr(info, "sparse", None)
    headers = info.pax_headers
    return Member(
        name=_bytes(info.name),
        kind=kind,
        type=info.type,
        mode=info.mode & 0o7777,
        uid=info.uid,
        gid=info.gid,
        modified=headers.get("mtime", str(info.mtime)),
        accessed=headers.get("atime", "0"),
        size=info.size,
        link=_bytes(info.linkname),
        device=(info.devmajor, info.devminor),
        xattrs={
            key.removeprefix(XATTR_HEADER): _bytes(headers[key]) for key in headers if key.startswith(XATTR_HEADER)
        },
        extents=[(0, info.size)] if sparse is None else sparse,
        content=_content(tar, info) if kind is Kind.FILE else None,
    )


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Content:
    buffered = cast(io.BufferedReader, tar.extractfile(info))
    return Content(cast(BinaryIO, buffered.raw))  # chunks are large; the buffer would copy them once more


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
