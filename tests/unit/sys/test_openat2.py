"""openat2 and the walk that stands in for it keep to the directory."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from volfuse.sys import openat2 as module
from volfuse.sys.openat2 import WITHIN, openat2

Opener = Callable[[int, bytes, int], int]


@pytest.fixture(params=["syscall", "walk"])
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param == "syscall":
        return openat2
    return lambda dirfd, path, flags: module._walk(dirfd, path, flags, 0, WITHIN)


@pytest.fixture
def tree(tmp_path: Path, open_descriptors: None) -> Iterator[int]:
    (tmp_path / "root/sub/deep").mkdir(parents=True)
    (tmp_path / "root/sub/deep/file").write_bytes(b"inside")
    (tmp_path / "secret").write_bytes(b"outside")
    (tmp_path / "root/out").symlink_to("../secret")
    (tmp_path / "root/absolute").symlink_to("/etc")
    (tmp_path / "root/dir").symlink_to("sub")
    fd = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_opens_a_file_below(tree: int, opener: Opener) -> None:
    fd = opener(tree, b"sub/deep/file", os.O_RDONLY)
    assert os.read(fd, 10) == b"inside"
    os.close(fd)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"../secret", {errno.EXDEV}),
        (b"sub/../../secret", {errno.EXDEV}),
        (b"/etc", {errno.EXDEV}),
        (b"out", {errno.ELOOP}),
        (b"absolute", {errno.ELOOP}),
        (b"dir/deep", {errno.ELOOP, errno.ENOTDIR}),
        (b"missing", {errno.ENOENT}),
        (b"sub/deep/file/x", {errno.ENOTDIR}),
    ],
)
def test_refuses(tree: int, opener: Opener, path: bytes, expected: set[int]) -> None:
    with pytest.raises(OSError) as caught:
        opener(tree, path, os.O_RDONLY)
    assert caught.value.errno in expected


def test_a_link_itself_can_be_opened_as_a_path(tree: int, opener: Opener) -> None:
    fd = opener(tree, b"out", os.O_PATH | os.O_NOFOLLOW)
    assert os.readlink(b"", dir_fd=fd) == b"../secret"
    os.close(fd)
