"""Renaming, also over what is open."""

from __future__ import annotations

import errno
import os

import pytest

from tests.conformance.targets import Target
from volfuse.sys.rename import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2

AT_FDCWD = -100


def test_rename_shows_on_every_side(target: Target) -> None:
    (target.path / "a").write_bytes(b"a")
    os.rename(target.path / "a", target.path / "b")
    assert [os.listdir(side) for side in target.sides] == [["b"]] * 3
    os.rename(target.other / "b", target.other / "c")
    assert [os.listdir(side) for side in target.sides] == [["c"]] * 3


def test_rename_replaces(target: Target) -> None:
    (target.path / "a").write_bytes(b"new")
    (target.path / "b").write_bytes(b"old")
    os.rename(target.path / "a", target.path / "b")
    assert [(side / "b").read_bytes() for side in target.sides] == [b"new"] * 3


def test_rename_over_an_open_file_keeps_the_old_content_readable(target: Target) -> None:
    (target.path / "a").write_bytes(b"new")
    (target.path / "b").write_bytes(b"old")
    fd = os.open(target.path / "b", os.O_RDWR)
    os.rename(target.path / "a", target.path / "b")
    assert os.pread(fd, 10, 0) == b"old"
    assert os.fstat(fd).st_nlink == 0
    os.pwrite(fd, b"OLD", 0)
    assert (target.other / "b").read_bytes() == b"new"
    assert [os.listdir(side) for side in target.sides] == [["b"]] * 3
    os.close(fd)
    assert [os.listdir(side) for side in target.sides] == [["b"]] * 3


def test_rename_over_an_open_file_leaves_no_moment_without_it(target: Target) -> None:
    (target.path / "b").write_bytes(b"0")
    missing = 0
    pid = os.fork()
    if pid == 0:
        for number in range(200):
            (target.path / "a").write_bytes(b"%d" % number)
            fd = os.open(target.path / "b", os.O_RDONLY)
            os.rename(target.path / "a", target.path / "b")
            os.close(fd)
        os._exit(0)
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        missing += not (target.host / "b").exists()
    assert missing == 0


def test_a_failing_rename_over_an_open_file_leaves_it(target: Target) -> None:
    (target.path / "d").mkdir()
    (target.path / "b").write_bytes(b"kept")
    fd = os.open(target.path / "b", os.O_RDONLY)
    with pytest.raises(OSError):
        os.rename(target.path / "d", target.path / "b")
    with pytest.raises(OSError):
        os.rename("/proc/self/status", target.path / "b")
    assert os.pread(fd, 10, 0) == b"kept"
    os.close(fd)
    assert [(side / "b").read_bytes() for side in target.sides] == [b"kept"] * 3


def test_an_open_file_survives_its_renaming(target: Target) -> None:
    (target.path / "a").write_bytes(b"content")
    (target.path / "d").mkdir()
    fd = os.open(target.path / "a", os.O_RDWR)
    os.rename(target.path / "a", target.path / "d/b")
    assert os.fstat(fd).st_nlink == 1
    os.pwrite(fd, b"CON", 0)
    os.close(fd)
    assert (target.other / "d/b").read_bytes() == b"CONtent"


@pytest.mark.gap("fusepy-shared", reason="libfuse 2 asks for attributes by path, and the path is another now")
def test_an_open_file_survives_its_renaming_by_another_view(target: Target) -> None:
    (target.path / "a").write_bytes(b"content")
    fd = os.open(target.path / "a", os.O_RDWR)
    try:
        os.rename(target.other / "a", target.other / "b")
        assert os.fstat(fd).st_size == 7
    finally:
        os.close(fd)


def test_a_directory_moves_with_what_is_open_below(target: Target) -> None:
    (target.path / "d/e").mkdir(parents=True)
    (target.path / "d/e/f").write_bytes(b"content")
    fd = os.open(target.path / "d/e/f", os.O_RDONLY)
    os.rename(target.path / "d", target.path / "moved")
    assert os.fstat(fd).st_size == 7
    assert os.read(fd, 10) == b"content"
    os.close(fd)
    assert (target.other / "moved/e/f").read_bytes() == b"content"


def test_a_directory_over_an_empty_one(target: Target) -> None:
    (target.path / "a").mkdir()
    (target.path / "a/f").touch()
    (target.path / "b").mkdir()
    os.rename(target.path / "a", target.path / "b")
    assert os.listdir(target.other / "b") == ["f"]


@pytest.mark.parametrize(
    ("old", "new", "number"),
    [
        ("file", "directory", errno.EISDIR),
        ("directory", "file", errno.ENOTDIR),
        ("directory", "full", errno.ENOTEMPTY),
        ("directory", "directory/below", errno.EINVAL),
        ("missing", "anything", errno.ENOENT),
        ("file", "missing/anything", errno.ENOENT),
    ],
)
def test_what_cannot_be_renamed(target: Target, old: str, new: str, number: int) -> None:
    (target.path / "file").touch()
    (target.path / "directory").mkdir()
    (target.path / "full").mkdir()
    (target.path / "full/f").touch()
    with pytest.raises(OSError) as caught:
        os.rename(target.path / old, target.path / new)
    assert caught.value.errno == number


def test_rename_to_itself_and_to_a_link_of_itself_changes_nothing(target: Target) -> None:
    (target.path / "a").write_bytes(b"content")
    os.link(target.path / "a", target.path / "b")
    os.rename(target.path / "a", target.path / "a")
    os.rename(target.path / "a", target.path / "b")
    assert sorted(os.listdir(target.other)) == ["a", "b"]
    assert sorted(os.listdir(target.path)) == ["a", "b"]


def test_rename_in_and_out_of_a_deep_directory(target: Target) -> None:
    (target.path / "x/y/z").mkdir(parents=True)
    (target.path / "f").write_bytes(b"1")
    os.rename(target.path / "f", target.path / "x/y/z/g")
    assert (target.other / "x/y/z/g").read_bytes() == b"1"
    os.rename(target.other / "x/y/z/g", target.other / "h")
    assert (target.path / "h").read_bytes() == b"1"


@pytest.mark.gap("fusepy-shared", "fusepy-private", reason="libfuse 2 has no RENAME2: flags are EINVAL")
def test_exchange(target: Target) -> None:
    (target.path / "a").write_bytes(b"a")
    (target.path / "d").mkdir()
    renameat2(AT_FDCWD, bytes(target.path / "a"), AT_FDCWD, bytes(target.path / "d"), RENAME_EXCHANGE)
    assert (target.other / "d").read_bytes() == b"a"
    assert os.listdir(target.other / "a") == []


@pytest.mark.gap("fusepy-shared", "fusepy-private", reason="libfuse 2 has no RENAME2: flags are EINVAL")
def test_noreplace(target: Target) -> None:
    (target.path / "a").write_bytes(b"a")
    (target.path / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        renameat2(AT_FDCWD, bytes(target.path / "a"), AT_FDCWD, bytes(target.path / "b"), RENAME_NOREPLACE)
    renameat2(AT_FDCWD, bytes(target.path / "a"), AT_FDCWD, bytes(target.path / "c"), RENAME_NOREPLACE)
    assert sorted(os.listdir(target.other)) == ["b", "c"]
