"""Comparing an image's tree with a container's."""

from __future__ import annotations

import os

import pytest

from volfuse.engine.treediff import Kind, differences


@pytest.fixture
def trees(tmp_path):
    for name in ("image", "tree"):
        (tmp_path / name / "etc" / "sub").mkdir(parents=True)
        for path in ("etc/same", "etc/sub/deep", "gone"):
            (tmp_path / name / path).write_text(path)
            os.utime(tmp_path / name / path, ns=(1, 1))
        (tmp_path / name / "link").symlink_to("etc/same")
    return tmp_path / "image", tmp_path / "tree"


def diff(trees):
    fds = [os.open(tree, os.O_PATH | os.O_DIRECTORY) for tree in trees]
    try:
        return [(d.kind, d.path.decode()) for d in differences(*fds)]
    finally:
        for fd in fds:
            os.close(fd)


def test_equal_trees(trees):
    assert diff(trees) == []


def test_what_was_added_is_named_with_all_below(trees):
    (trees[1] / "new" / "in").mkdir(parents=True)
    (trees[1] / "new" / "in" / "file").touch()
    assert diff(trees) == [(Kind.ADDED, path) for path in ("/new", "/new/in", "/new/in/file")]


def test_what_was_deleted_is_named_by_its_top(trees):
    (trees[1] / "etc" / "sub" / "deep").unlink()
    (trees[1] / "etc" / "sub").rmdir()
    assert diff(trees) == [(Kind.MODIFIED, "/etc"), (Kind.DELETED, "/etc/sub")]


@pytest.mark.parametrize("change", ["content", "mode", "kind"])
def test_changes_of_a_file(trees, change):
    path = trees[1] / "etc" / "sub" / "deep"
    match change:
        case "content":
            path.write_text("other")
        case "mode":
            path.chmod(0o600)
        case "kind":
            path.unlink()
            path.mkdir()
    assert diff(trees) == [(Kind.MODIFIED, path) for path in ("/etc", "/etc/sub", "/etc/sub/deep")]


def test_links_are_compared_and_not_followed(trees):
    (trees[1] / "link").unlink()
    (trees[1] / "link").symlink_to("/etc/passwd")
    assert diff(trees) == [(Kind.MODIFIED, "/link")]


def test_what_a_start_makes_is_not_shown(trees):
    for path in ("proc", "sys", "dev"):
        (trees[1] / path).mkdir()
    (trees[1] / "etc" / "hosts").touch()
    assert diff(trees) == []
