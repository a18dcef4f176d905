"""What a killed daemon has left is detached; what is alive, or another's, stays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import needs
from volfuse.errors import Conflict
from volfuse.sys.mountinfo import read_mountinfo
from volfuse.transport.kernel.mounting import open_mounted
from volfuse.transport.stalemounts import detach_stale, take_over

Mounter = Callable[[Path], None]


@pytest.fixture
def dead(base: Path) -> Iterator[Mounter]:
    """Mounts a connection that nobody serves."""
    needs(os.geteuid() == 0, "mounts need root")
    needs(os.access("/dev/fuse", os.R_OK | os.W_OK), "/dev/fuse cannot be opened")
    yield lambda path: os.close(open_mounted(os.fsencode(path)))
    for path in reversed(mounted(base)):
        subprocess.run(["umount", "-l", path], check=False, stderr=subprocess.DEVNULL)


def mounted(base: Path) -> list[bytes]:
    return [mount.mount_point for mount in read_mountinfo() if mount.mount_point.startswith(os.fsencode(base))]


def test_a_dead_mount_that_hides_another_goes_and_then_the_other(base: Path, dead: Mounter) -> None:
    for name in ("views", "views/place"):
        (base / name).mkdir()
    dead(base / "views/place")
    dead(base / "views")
    detach_stale(os.fsencode(base))
    assert mounted(base) == []
    assert os.listdir(base / "views") == ["place"]


def test_what_is_alive_under_a_dead_mount_stays(base: Path, dead: Mounter) -> None:
    (base / "views").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(base / "views")], check=True)
    (base / "views/file").touch()
    dead(base / "views")
    with pytest.raises(Conflict, match="something is mounted there already"):
        take_over(os.fsencode(base / "views"))
    assert os.listdir(base / "views") == ["file"]


def test_a_dead_mount_in_the_way_is_taken_over(base: Path, dead: Mounter) -> None:
    (base / "views").mkdir()
    dead(base / "views")
    take_over(os.fsencode(base / "views"))
    assert mounted(base) == []
