"""remove_tree: everything goes, nothing else does."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from tests.unit.fs.test_copytree import deep_tree
from tests.unit.images.support import NOBODY, as_nobody, directory_fd
from volfuse.fs.removetree import remove_tree

pytestmark = pytest.mark.usefixtures("open_descriptors")


def _remove(parent: Path, name: bytes) -> None:
    with directory_fd(parent) as fd:
        remove_tree(fd, name)


def test_missing_name_is_no_error(tmp_path: Path) -> None:
    _remove(tmp_path, b"nothing")


def test_file_and_link_are_removed_without_following(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").touch()
    (tmp_path / "link").symlink_to("outside")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to("../outside")

    _remove(tmp_path, b"link")
    _remove(tmp_path, b"tree")

    assert sorted(os.listdir(tmp_path)) == ["outside"]
    assert os.listdir(tmp_path / "outside") == ["kept"]


def test_names_of_any_bytes(tmp_path: Path) -> None:
    top = os.fsencode(tmp_path) + b"/t\xff\n"
    os.mkdir(top)
    for name in (b"-rf", b"\xfe", b"n" * 255, b" ", b".removing-0"):
        os.mkdir(top + b"/" + name)

    _remove(tmp_path, b"t\xff\n")

    assert os.listdir(tmp_path) == []


def test_deep_tree_needs_few_descriptors(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    deep_tree(tmp_path / "top")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 80, limits[1]))
    try:
        _remove(tmp_path, b"top")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert os.listdir(tmp_path) == []


def test_ordinary_user_removes_his_locked_directories(tmp_path: Path) -> None:
    locked = tmp_path / "top" / "locked"
    (locked / "below").mkdir(parents=True)
    (locked / "below" / "file").touch()
    deep_tree(locked, depth=80)
    paths = [tmp_path / "top", *(tmp_path / "top").rglob("*")]
    for path in (tmp_path, *paths):
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
    for path in reversed(paths):
        path.chmod(0)

    with directory_fd(tmp_path) as fd:
        as_nobody(lambda: remove_tree(fd, b"top"))

    assert os.listdir(tmp_path) == []
