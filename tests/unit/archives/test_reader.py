"""Members of tars as they are written, and what no caller has to bear: endless headers, broken ones, lost content."""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
from pathlib import Path

import pytest

from tests.unit.images.support import directory, entry, file, link, symlink, tar_of
from volfuse.archives.broken import BrokenArchive
from volfuse.archives.members import Kind, Member, parse_seconds, write_content
from volfuse.archives.reader import read_members


def _members(archive: bytes, header_bytes: int = 1 << 16) -> list[Member]:
    return list(read_members(io.BytesIO(archive), header_bytes))


def test_kinds_of_members() -> None:
    archive = tar_of(
        directory("d"),
        file("f"),
        symlink("s", "f"),
        link("h", "f"),
        entry("p", tarfile.FIFOTYPE),
        entry("c", tarfile.CHRTYPE, devmajor=1, devminor=3),
        entry("b", tarfile.BLKTYPE),
        entry("z", b"Z"),
    )
    found = _members(archive)
    assert [member.kind for member in found] == [*Kind, None]
    assert found[5].device == (1, 3)
    assert [member.content is not None for member in found] == [member.name == b"f" for member in found]


def test_nothing_of_a_member_is_refused() -> None:
    headers = {"mtime": "nan", "SCHILY.xattr.trusted.overlay.opaque": "\udcff"}
    (found,) = _members(tar_of(file("/../x", uid=1 << 33, mode=0o107777, pax_headers=headers)))
    assert (found.name, found.modified, found.mode) == (b"/../x", "nan", 0o7777)
    assert found.xattrs == {"trusted.overlay.opaque": b"\xff"}
    assert not found.has_possible_owner


def test_content_that_is_not_read_is_skipped() -> None:
    members = read_members(io.BytesIO(tar_of(file("a", b"a" * 70_000), file("b", b"b" * 70_000))))
    next(members)
    assert next(members).content.read(3) == b"bbb"
    assert next(members, None) is None


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_headers_have_a_limit_which_content_has_not(format_: int) -> None:
    large = file("f", b"x" * 200_000)
    assert _members(tar_of(large, large, file("n" * 40_000), format_=format_))
    with pytest.raises(BrokenArchive, match="a header is larger than 65536 bytes"):
        _members(tar_of(large, file("n" * 70_000), format_=format_))


def test_headers_within_headers_are_refused_however_deep() -> None:
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 1
    with pytest.raises(BrokenArchive):
        _members((long_name.tobuf(tarfile.GNU_FORMAT) + b"n".ljust(512, b"\0")) * 5_000, 1 << 30)


def test_a_broken_header_is_not_the_end() -> None:
    with pytest.raises(BrokenArchive, match="invalid header at byte 1024"):
        _members(tar_of(file("f"))[:1024] + b"garbage" * 200)


def test_content_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    members = read_members(io.BytesIO(tar_of(file("f", b"x" * 5_000))[:3_000]))
    with (tmp_path / "f").open("wb") as target, pytest.raises(BrokenArchive) as caught:
        write_content(next(members), target.fileno())
    assert caught.value.problem == "unexpected end of data"


@pytest.mark.parametrize("extents", [[(0, 8)], [(4, 2), (0, 2)], [(0, 3), (2, 2)], [(0, -1)], [(6, 2)]])
def test_impossible_maps_of_holes_are_not_written(tmp_path: Path, extents: list[tuple[int, int]]) -> None:
    (found,) = _members(tar_of(file("f", b"1234567")))
    broken = dataclasses.replace(found, extents=extents)
    with (tmp_path / "f").open("wb") as target, pytest.raises(BrokenArchive, match="map of holes"):
        write_content(broken, target.fileno())
    assert os.listdir(tmp_path) == ["f"]
    assert (tmp_path / "f").stat().st_size == 0


def test_a_hole_at_the_end_gives_the_file_its_size(tmp_path: Path) -> None:
    headers = {"GNU.sparse.map": "2,3", "GNU.sparse.size": "100000", "GNU.sparse.name": "f"}
    with (tmp_path / "f").open("wb") as target:
        write_content(next(read_members(io.BytesIO(tar_of(file("x", b"abc", pax_headers=headers))))), target.fileno())
    assert (tmp_path / "f").read_bytes() == b"\0\0abc".ljust(100_000, b"\0")


@pytest.mark.parametrize("text", ["", "x", "nan", "snan", "1,5"])
def test_a_time_that_is_no_number(text: str) -> None:
    assert parse_seconds(text) is None
