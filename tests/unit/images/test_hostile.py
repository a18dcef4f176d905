"""Archives of strangers: a clear error that names the entry, and nothing outside touched."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.images.support import TarEntry, directory, entry, file, link, symlink, tar_of, tree
from volfuse.errors import InvalidSpec, VolfuseError
from volfuse.images.builder import ArchiveImageBuilder
from volfuse.images.streams import Limits

pytestmark = pytest.mark.usefixtures("open_descriptors")

_SMALL = Limits(unpacked_bytes=1 << 20, entries=50, header_bytes=1 << 18)


class _Forward(io.RawIOBase):
    """A stream that can only be read, a few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        return self._file.readinto(memoryview(buffer)[:5000])


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "victim").write_text("untouched")
    (tmp_path / "staging").mkdir()
    return tmp_path / "outside"


def _refused(outside: Path, archive: bytes, limits: Limits = _SMALL) -> str:
    before = tree(outside)
    with pytest.raises(InvalidSpec) as caught:
        ArchiveImageBuilder(limits).import_tar(
            _Forward(archive), outside.parent / "staging", changes=(), message="", created_ns=0
        )
    assert tree(outside) == before
    assert sorted(os.listdir(outside.parent)) == ["outside", "staging"]
    return str(caught.value)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([file("/etc/x")], "entry '/etc/x' has an absolute name"),
        ([file("../x")], "entry '../x' leads out of the archive"),
        ([file("a/../../x")], "entry 'a/../../x' leads out of the archive"),
        ([directory("..")], "entry '..' leads out of the archive"),
        ([file("a/..")], "entry 'a/..' leads out of the archive"),
        ([symlink("l", "../../outside"), file("l/x")], "the link 'l' on the way leads out of the image"),
        ([symlink("l", "../../outside"), file("l/../x")], "entry 'l/../x' leads out of the archive"),
        (
            [directory("d"), symlink("d/l", "../.."), file("d/l/x")],
            "the link 'd/l' on the way leads out of the image",
        ),
        ([symlink("l", "l"), file("l/x")], "entry 'l/x': too many levels of symbolic links"),
        ([link("h", "/etc/passwd")], "entry '/etc/passwd' has an absolute name"),
        ([link("h", "../../outside/victim")], "entry '../../outside/victim' leads out of the archive"),
        ([link("h", "missing")], "entry 'h' is a hard link to 'missing', which is not there"),
        ([directory("d"), link("h", "d")], "entry 'h' is a hard link to a directory"),
        ([link("h", ".")], "entry 'h' is a hard link to nothing"),
        (
            [symlink("l", "../../outside"), link("h", "l/victim")],
            "the link 'l' on the way leads out of the image",
        ),
        ([entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3)], "entry 'null' is a device"),
        ([entry("disk", tarfile.BLKTYPE)], "entry 'disk' is a device"),
        ([entry("zero", tarfile.CHRTYPE)], "entry 'zero' is a device"),
        ([entry("odd", b"Z")], "entry 'odd' is of unknown type b'Z'"),
        ([file("twice"), file("twice")], "entry 'twice' is there twice"),
        ([file("twice"), file("./a/../twice")], "entry './a/../twice' leads out of the archive"),
        ([file("twice"), file(".//twice")], "entry 'twice' is there twice"),
        ([directory("d"), file("d")], "entry 'd' is there twice"),
        ([file("f"), directory("f")], "entry 'f' is there twice"),
        ([symlink("f", "/etc"), file("f")], "entry 'f' is there twice"),
        ([directory("d"), symlink("l", "d"), file("d/x"), file("l/x")], "entry 'l/x' is there twice"),
        ([file("f"), file("f/below")], "entry 'f/below': Not a directory"),
        ([file("n" * 256)], "File name too long"),
        ([file("d/" * 3000 + "f")], "File name too long"),
        ([file(".")], "the root is a file"),
        ([symlink(".", "/")], "the root is a symlink"),
        ([symlink("l", "")], "the target of the link 'l' is empty or has a NUL"),
        ([file("f", uid=1 << 33)], "entry 'f' has the impossible owner 8589934592:0"),
        ([file("f", pax_headers={"uid": "4294967295"})], "entry 'f' has the impossible owner 4294967295:0"),
        ([file("f", pax_headers={"mtime": "1e99999999"})], "entry 'f' has the time"),
        ([file("f", pax_headers={"mtime": "nan"})], "entry 'f' has the time"),
        (
            [directory("d", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/../.."})],
            "entry 'd' has the attribute trusted.overlay.redirect",
        ),
        ([file("f", pax_headers={"SCHILY.xattr.user.a": "x" * 300_000})], "a header is larger than 262144 bytes"),
        ([file("f", pax_headers={"comment": "x" * 300_000})], "a header is larger than 262144 bytes"),
        ([file("x" * 100 + "/" + "y" * 300_000)], "a header is larger than 262144 bytes"),
        ([file("large", b"\0" * (1 << 20) + b"x")], "archive is too large: more than 1048576 bytes unpacked"),
        ([file(f"f{n}") for n in range(51)], "archive is too large: more than 50 entries"),
        ([file(".wh.")], "entry '.wh.' is no whiteout"),
        ([file(".wh...")], "entry '.wh...' is no whiteout"),
    ],
)
def test_hostile_entry(outside: Path, entries: list[TarEntry], message: str) -> None:
    said = _refused(outside, tar_of(*entries))
    assert message in said
    assert said.startswith(("invalid archive: ", "archive is too large: "))


def test_link_that_leads_out_only_by_another_stays_at_the_root(outside: Path) -> None:
    before = tree(outside)
    built = ArchiveImageBuilder().import_tar(
        io.BytesIO(tar_of(symlink("a", "."), symlink("b", "a/.."), file("b/x"))),
        outside.parent / "staging",
        changes=(),
        message="",
        created_ns=0,
    )
    assert sorted(os.listdir(built.rootfs_staging)) == ["a", "b", "x"]
    assert tree(outside) == before


def test_names_longer_than_the_limit_in_gnu_format(outside: Path) -> None:
    archive = tar_of(file("y" * 300_000), format_=tarfile.GNU_FORMAT)
    assert "a header is larger than 262144 bytes" in _refused(outside, archive)


def test_name_with_nul(outside: Path) -> None:
    archive = tar_of(file("f", pax_headers={"path": "a\0b"}))
    assert "has a NUL in its name" in _refused(outside, archive)


def _header(name: bytes, size: bytes, type_: bytes = b"0", rest: bytes = b"") -> bytes:
    """Return a raw header with a right checksum."""
    fields = struct.pack("100s8s8s8s12s12s8s1s100s", name, b"644", b"0", b"0", size, b"0", b" " * 8, type_, b"")
    header = (fields + b"ustar\x0000" + rest).ljust(512, b"\0")
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


_HUGE = b"\x80" + (1 << 60).to_bytes(11, "big")
_NEGATIVE = b"\xff" * 10 + b"\xfe\x00"


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (_header(b"f", _HUGE), "archive is too large: more than 1048576 bytes unpacked, at 'f'"),
        (_header(b"f", _NEGATIVE) + b"\0" * 2048, "invalid archive: "),
        (_header(b"f", _HUGE, b"x") + b"a" * (1 << 19), "a header is larger than 262144 bytes"),
        (_header(b"f", _HUGE, b"g") + b"a" * (1 << 19), "a header is larger than 262144 bytes"),
        (_header(b"f", _HUGE, b"L") + b"a" * (1 << 19), "a header is larger than 262144 bytes"),
        (_header(b"f", _HUGE, b"K") + b"a" * (1 << 19), "a header is larger than 262144 bytes"),
        (_header(b"f", b"12") + b"short", "unexpected end of data"),
        (_header(b"f", b"0") + b"garbage" * 200, "invalid header at byte 512"),
        (_header(b"f", b"0") + b"cut", "truncated header"),
        (b"no tar at all", "truncated header"),
        (b"", "empty file"),
        (os.urandom(4096).replace(b"\x1f\x8b", b""), "invalid header at byte 0"),
        (gzip.compress(tar_of(file("f")))[:-20], "invalid archive: "),
        (bz2.compress(tar_of(file("f")))[:-20], "invalid archive: "),
        (lzma.compress(tar_of(file("f")))[:-20], "invalid archive: "),
        (b"BZh9garbage", "invalid archive: "),
        (b"\x1f\x8bgarbage", "invalid archive: "),
        (b"\xfd7zXZ\x00garbage", "invalid archive: "),
    ],
    ids=lambda value: "archive" if isinstance(value, bytes) else value,  # the bytes differ from run to run
)
def test_broken_archive(outside: Path, archive: bytes, message: str) -> None:
    assert message in _refused(outside, archive)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_decompression_bomb_stops_at_the_limit(outside: Path, compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(tar_of(file("f")) + b"\0" * (8 << 20))
    assert len(bomb) < 100_000
    assert _refused(outside, bomb) == "archive is too large: more than 1048576 bytes unpacked"


def test_zstd_bomb_and_broken_zstd(outside: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    bomb = zstandard.compress(tar_of(file("f")) + b"\0" * (8 << 20))
    assert _refused(outside, bomb) == "archive is too large: more than 1048576 bytes unpacked"
    assert "invalid archive: " in _refused(outside, zstandard.compress(tar_of(file("f")))[:4] + b"garbage")


def test_sparse_file_of_impossible_size(outside: Path) -> None:
    headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.realsize": str(1 << 62)}
    archive = tar_of(file("f", b"x", pax_headers={**headers, "GNU.sparse.map": f"{1 << 61},1"}))
    assert "archive is too large" in _refused(outside, archive)


def test_sparse_map_that_leaves_the_file(outside: Path) -> None:
    headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.realsize": "10"}
    archive = tar_of(file("f", b"x", pax_headers={**headers, "GNU.sparse.map": "5,100"}))
    assert "entry 'f' has an impossible map of holes" in _refused(outside, archive)


def test_sparse_map_without_end(outside: Path) -> None:
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "10", "GNU.sparse.name": "f"}
    archive = tar_of(file("f", b"99999999\n" + b"0\n" * 400_000, pax_headers=headers))
    assert "a header is larger than 262144 bytes" in _refused(outside, archive)


_VALID = tar_of(
    directory("d"),
    file("d/f", b"x" * 700),
    symlink("l", "d"),
    file("long" * 60, pax_headers={"a": "b"}),
    link("h", "d/f"),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, len(_VALID) - 1), st.integers(0, 255)), min_size=1, max_size=12))
def test_damaged_archive_is_an_image_or_invalid(outside: Path, places: list[tuple[int, int]]) -> None:
    damaged = bytearray(_VALID)
    for place, value in places:
        damaged[place] = value
        block = place // 512 * 512
        header = bytes(damaged[block : block + 512])
        summed = sum(header[:148]) + sum(header[156:]) + 8 * 32
        damaged[block + 148 : block + 156] = b"%06o\0 " % summed
    before = tree(outside)
    try:
        ArchiveImageBuilder(_SMALL).import_tar(
            io.BytesIO(bytes(damaged)), outside.parent / "staging", changes=(), message="", created_ns=0
        )
    except VolfuseError as exc:
        assert str(exc)
    assert tree(outside) == before
