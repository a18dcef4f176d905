"""Who watches what, from /proc."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.inotify import Inotify
from volfuse.transport.kernel.replay.watches import Watchers, parse_fdinfo

FDINFO = b"""pos:\t0
flags:\t02004000
mnt_id:\t16
ino:\t1057
inotify wd:2 ino:5 sdev:2f mask:fce ignored_mask:0 fhandle-bytes:c fhandle-type:81 f_handle:010000000500000000000000
inotify wd:1 ino:1e9e8 sdev:800013 mask:2 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:e8e90100bc2a3cdd
inotify wd:3 ino:1 sdev:2f mask:100 ignored_mask:0
"""


def test_node_ids_and_masks_are_those_of_one_file_system() -> None:
    assert parse_fdinfo(FDINFO, 0x2F) == [(1 << 32 | 5, 0xFCE)]


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc with one process, whose descriptor 5 is of inotify."""
    for name in ("77/fd", "77/fdinfo"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "77/fd/5").symlink_to("anon_inode:inotify")
    (tmp_path / "77/fd/4").symlink_to("/dev/null")
    (tmp_path / "77/fdinfo/5").write_bytes(FDINFO)
    return tmp_path


def test_who_has_asked_for_something_is_looked_at_soon(proc: Path) -> None:
    watchers = Watchers(0x2F, str(proc))
    watchers.asked([77], 10.0)
    assert watchers.watches() == {}
    watchers.look(10.01)
    assert watchers.watches() == {1 << 32 | 5: 0xFCE}


def test_who_has_asked_for_nothing_is_found_all_the_same(proc: Path) -> None:
    watchers = Watchers(0x2F, str(proc))
    for tick in range(200):
        watchers.look(float(tick))
    assert watchers.watches() == {1 << 32 | 5: 0xFCE}


def test_a_new_instance_of_a_busy_program_is_found(proc: Path) -> None:
    watchers = Watchers(0x2F, str(proc))
    (proc / "77/fdinfo/5").write_bytes(b"")
    for tick in range(20):
        watchers.asked([77], tick / 50)
        watchers.look(tick / 50)
        if tick == 10:
            (proc / "77/fd/6").symlink_to("anon_inode:inotify")
            (proc / "77/fdinfo/6").write_bytes(FDINFO)
    assert watchers.watches() == {1 << 32 | 5: 0xFCE}


def test_watches_that_end_are_found_out(proc: Path) -> None:
    watchers = Watchers(0x2F, str(proc))
    watchers.asked([77], 0.0)
    watchers.look(1.0)
    (proc / "77/fdinfo/5").write_bytes(b"")
    watchers.look(2.0)
    assert watchers.watches() == {}


def test_an_instance_that_is_closed_watches_nothing(proc: Path) -> None:
    watchers = Watchers(0x2F, str(proc))
    (proc / "77/fd/6").symlink_to("anon_inode:inotify")
    (proc / "77/fdinfo/6").write_bytes(FDINFO.replace(b"f_handle:01", b"f_handle:02"))
    watchers.asked([77], 0.0)
    watchers.look(1.0)
    assert watchers.watches() == {1 << 32 | 5: 0xFCE, 2 << 32 | 5: 0xFCE}
    (proc / "77/fd/6").unlink()
    watchers.look(2.0)
    assert watchers.watches() == {1 << 32 | 5: 0xFCE}


def test_a_process_that_ends_is_forgotten(proc: Path) -> None:
    watchers = Watchers(0x2F, str(proc))
    watchers.asked([77], 0.0)
    watchers.look(1.0)
    (proc / "77").rename(proc / "gone")
    for tick in range(2, 200):
        watchers.look(float(tick))
    assert watchers.watches() == {}


def test_the_kernel_s_own_lines_are_understood(tmp_path: Path) -> None:
    with closing(Inotify()) as instance:
        instance.watch(tmp_path, "x", 0x2)
        lines = Path(f"/proc/self/fdinfo/{instance.fd}").read_bytes()
    # Of another file system the handle is something else, but there is one, as for the mask.
    assert [mask for _, mask in parse_fdinfo(lines, _device(lines))] == [0x2]
    assert os.path.exists(tmp_path)


def _device(lines: bytes) -> int:
    return int(lines.split(b"sdev:")[1].split()[0], 16)
