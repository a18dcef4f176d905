"""Where paths of a view lie."""

from __future__ import annotations

import errno
import gc
import os
from pathlib import Path

import pytest

from tests.unit.fs.conftest import Attach
from volfuse.errors import Conflict, NotFound
from volfuse.fs.view import View
from volfuse.fs.viewtable import ViewTable


@pytest.mark.parametrize(
    ("path", "destination", "rel"),
    [
        (b"", b"", b""),
        (b"x", b"", b"x"),
        (b"v", b"v", b""),
        (b"v/a/b", b"v", b"a/b"),
        (b"vx", b"", b"vx"),
        (b"vx/v", b"", b"vx/v"),
        (b"missing", b"", b"missing"),
        (b"missing/deep", b"missing/deep", b""),
        (b"missing/deep/x", b"missing/deep", b"x"),
        (b"missing/deeper", b"", b"missing/deeper"),
        (b"etc/cfg", b"etc/cfg", b""),
        (b"etc/cfg2", b"", b"etc/cfg2"),
    ],
)
def test_a_file_lies_in_the_mount_with_the_longest_destination(
    view: View, path: bytes, destination: bytes, rel: bytes
) -> None:
    place = view.locate(path)
    assert (place.mount.destination, place.rel, place.path) == (destination, rel, path)


@pytest.mark.parametrize(
    ("path", "destination", "rel"),
    [
        (b"v", b"", b"v"),
        (b"v/a", b"v", b"a"),
        (b"missing/deep", b"", b"missing/deep"),
        (b"missing/deep/x", b"missing/deep", b"x"),
        (b"etc/cfg", b"", b"etc/cfg"),
    ],
)
def test_a_mount_points_entry_lies_in_the_mount_around_it(
    view: View, path: bytes, destination: bytes, rel: bytes
) -> None:
    place = view.locate_entry(path)
    assert (place.mount.destination, place.rel) == (destination, rel)


def test_nested_mounts_in_any_order(attach: Attach, tmp_path: Path) -> None:
    for name in ("1", "2", "3"):
        (tmp_path / name).mkdir()
    view = attach("n", ("a/b/c", "3", False), ("a", "1", False), ("a/b", "2", False))
    assert view.locate(b"a/b/c/x").mount.source is not view.locate(b"a/b/x").mount.source
    assert [view.locate(path).rel for path in (b"a/x", b"a/b/x", b"a/b/c/x", b"a/bc")] == [b"x", b"x", b"x", b"bc"]
    assert view.points == {b"a", b"a/b", b"a/b/c"}
    assert view.leading == frozenset()


def test_the_root_of_a_view_is_no_entry(view: View) -> None:
    with pytest.raises(OSError) as caught:
        view.locate_entry(b"")
    assert caught.value.errno == errno.EBUSY


def test_names_of_the_view_itself(view: View) -> None:
    assert view.leading == {b"missing", b"etc"}
    assert {path: set(names) for path, names in view.covered.items()} == {
        b"": {b"v", b"again", b"ro", b"missing", b"etc"},
        b"missing": {b"deep"},
        b"etc": {b"cfg"},
    }


def test_views_by_name(table: ViewTable, view: View, attach: Attach) -> None:
    assert table.names() == [b"c"]
    assert table.get(b"c") is view
    assert table.locate(b"c/v/x").rel == b"x"
    with pytest.raises(Conflict):
        attach("c")
    other = attach("d")
    with pytest.raises(Conflict):
        table.rename("c", "d")
    table.rename("c", "e")
    assert sorted(table.names()) == [b"d", b"e"]
    renamed = table.get(b"e")
    assert renamed is not None
    assert renamed.mounts is view.mounts
    table.detach("d")
    assert table.get(b"d") is None
    assert other.locate(b"x").rel == b"x"
    for action in (lambda: table.detach("d"), lambda: table.rename("d", "f")):
        with pytest.raises(NotFound):
            action()


def test_names_that_are_not_there(table: ViewTable, view: View) -> None:
    for path, locate, number in (
        (b"x", table.locate, errno.ENOENT),
        (b"x/y", table.locate_entry, errno.ENOENT),
        (b"x", table.locate_entry, errno.EPERM),
        (b"c", table.locate_entry, errno.EBUSY),
    ):
        with pytest.raises(OSError) as caught:
            locate(path)
        assert caught.value.errno == number


def test_a_source_is_opened_once(attach: Attach, tmp_path: Path, table: ViewTable) -> None:
    (tmp_path / "vol").mkdir()
    gc.collect()  # what earlier tests have left to be closed
    before = len(os.listdir("/proc/self/fd"))
    views = [attach(f"c{number}", ("v", "vol", False), ("w", "vol", True)) for number in range(20)]
    assert len(os.listdir("/proc/self/fd")) - before == 21
    assert len({id(view.locate(b"v").mount.source) for view in views}) == 1
    assert len({view.locate(b"v").mount for view in views}) == 20


def test_a_given_descriptor_is_taken(table: ViewTable, tmp_path: Path) -> None:
    from volfuse.core.viewplan import PlannedMount, ViewPlan

    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    view = table.attach(ViewPlan("id", "given", (PlannedMount((), b"", source_fd=fd),)))
    assert view.locate(b"").mount.source.fd == fd
    again = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    table.attach(ViewPlan("id2", "given2", (PlannedMount((), b"", source_fd=again),)))
    with pytest.raises(OSError):
        os.fstat(again)
