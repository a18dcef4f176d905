"""What works between views because they are one file system to the kernel."""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import struct
import subprocess
from pathlib import Path

from tests.integration.kernel.conftest import Sides

DEADLINE_S = 10.0
IN_MODIFY = 0x2
IN_ATTRIB = 0x4
LIBC = ctypes.CDLL(None, use_errno=True)


def watched(path: Path, mask: int) -> int:
    """Return a descriptor that tells of events on a file."""
    fd: int = LIBC.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    assert fd >= 0
    assert LIBC.inotify_add_watch(fd, os.fsencode(path), mask) >= 0
    return fd


def next_mask(fd: int) -> int:
    ready, _, _ = select.select([fd], [], [], DEADLINE_S)
    assert ready, "no event came"
    mask: int = struct.unpack_from("iI", os.read(fd, 4096))[1]
    return mask


def test_a_files_watch_hears_of_writes_in_another_view(sides: Sides) -> None:
    (sides.one / "file").write_bytes(b"content")
    fd = watched(sides.two / "file", IN_MODIFY)
    with (sides.one / "file").open("ab") as file:
        file.write(b"more")
    assert next_mask(fd) == IN_MODIFY
    os.close(fd)


def test_a_files_watch_hears_of_its_mode_set_in_another_view(sides: Sides) -> None:
    (sides.one / "file").write_bytes(b"content")
    fd = watched(sides.two / "file", IN_ATTRIB)
    os.chmod(sides.one / "file", 0o600)
    assert next_mask(fd) == IN_ATTRIB
    os.close(fd)


def test_a_shared_mapping_is_one_memory_in_both_views_and_on_the_host(sides: Sides) -> None:
    (sides.one / "file").write_bytes(bytes(8192))
    maps = []
    for side in (sides.one, sides.two, sides.host):
        with (side / "file").open("r+b") as file:
            maps.append(mmap.mmap(file.fileno(), 8192))
    for number, writer in enumerate(maps):
        writer[number * 4000] = 65 + number
        assert [reader[number * 4000] for reader in maps] == [65 + number] * 3
    for mapping in maps:
        mapping.close()


def test_a_file_has_one_inode_and_device_in_both_views(sides: Sides) -> None:
    (sides.one / "file").touch()
    assert os.path.samefile(sides.one / "file", sides.two / "file")
    assert os.stat(sides.one / "file").st_ino == os.stat(sides.host / "file").st_ino


def test_a_mount_inside_a_view_survives_changes_by_the_other(sides: Sides) -> None:
    (sides.one / "tmp").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(sides.one / "tmp")], check=True)
    try:
        (sides.one / "tmp/kept").write_bytes(b"content")
        for number in range(1000):
            name = f"n{number % 7}"
            (sides.two / name).write_bytes(b"x")
            os.rename(sides.two / name, sides.two / "other")
            os.unlink(sides.two / "other")
        assert (sides.one / "tmp/kept").read_bytes() == b"content"
        assert os.path.ismount(sides.one / "tmp")
    finally:
        subprocess.run(["umount", "-l", str(sides.one / "tmp")], check=True)
