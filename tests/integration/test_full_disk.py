"""A full disk: a clear error, nothing half-made, and everything goes on when there is room again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import busybox_rootfs
from tests.support import eventually, needs
from volfuse.testing import DaemonProcess


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    needs(os.geteuid() == 0, "only root can mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_leaves_nothing_half_made(small_disk, tmp_path):
    (tmp_path / "box.tar").write_bytes(busybox_rootfs())
    root = small_disk / "root"

    def volfuse(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).parent / "volfuse", "--root", root, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)

    with DaemonProcess(root):
        assert volfuse("import", "--change", "VOLUME /data", tmp_path / "box.tar", "box").returncode == 0
        with open(small_disk / "fill", "wb", buffering=0) as fill, pytest.raises(OSError, match="No space left"):
            while True:
                fill.write(bytes(4096))
        for arguments, status in ((["create", "--name", "c1", "box"], 1), (["run", "--rm", "box", "true"], 125)):
            refused = volfuse(*arguments)
            assert refused.returncode == status
            assert "full" in refused.stderr or "No space left" in refused.stderr
        refused = volfuse("import", tmp_path / "box.tar", "other")
        assert refused.returncode == 1
        assert "No space left" in refused.stderr
        (small_disk / "fill").unlink()
        assert volfuse("ps", "-aq").stdout == volfuse("volume", "ls", "-q").stdout == ""
        assert [os.listdir(root / name) for name in ("containers", "volumes", "staging")] == [[], [], []]
        filling = volfuse("run", "--rm", "box", "sh", "-c", "dd if=/dev/zero of=/data/x bs=4k; ls /data")
        assert "No space left" in filling.stderr
        assert filling.stdout == "x\n"
        volume = volfuse("volume", "ls", "-q").stdout.strip()
        (root / "volumes" / volume / "_data" / "x").unlink()  # as the host may
        eventually(lambda: os.statvfs(small_disk).f_bavail >= 100)  # what has just been used stays open for a moment
        assert volfuse("rm", "-f", "-v", *volfuse("ps", "-aq").stdout.split()).returncode == 0
        assert volfuse("run", "--rm", "box", "true").returncode == 0
