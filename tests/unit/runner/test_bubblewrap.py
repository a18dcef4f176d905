"""Command lines of bubblewrap."""

from __future__ import annotations

import pytest

from volfuse.core.runplan import OwnMount, Sandbox
from volfuse.runner.bubblewrap import bubblewrap_arguments

SHM = ["--perms", "1777", "--size", "67108864", "--tmpfs", "/dev/shm"]
MOUNTS = ["--bind", "/v/c", "/", "--proc", "/proc", "--dev", "/dev", "--mqueue", "/dev/mqueue"]
NAMESPACES = ["--unshare-ipc", "--unshare-uts", "--hostname", "box"]
END = ["--pidns", "5", "--info-fd", "6", "--block-fd", "7", "--", "/"]


@pytest.mark.parametrize(
    ("more", "masked", "wanted"),
    [
        ({}, (), [*NAMESPACES, "--unshare-net", *MOUNTS, *SHM]),
        ({"host_network": True}, (), [*NAMESPACES, *MOUNTS, *SHM]),
        (
            {"shm_bytes": 1024},
            (),
            [*NAMESPACES, "--unshare-net", *MOUNTS, "--perms", "1777", "--size", "1024", "--tmpfs", "/dev/shm"],
        ),
        ({}, ("/proc/keys",), [*NAMESPACES, "--unshare-net", *MOUNTS, *SHM, "--ro-bind", "/dev/null", "/proc/keys"]),
        (
            {"mounts": [OwnMount("/a/b"), OwnMount("/a", read_only=True)], "read_only": True},
            (),
            [
                *(*NAMESPACES, "--unshare-net", *MOUNTS, *SHM),
                *("--ro-bind", "/v/c/a", "/a", "--bind", "/v/c/a/b", "/a/b", "--remount-ro", "/"),
            ],
        ),
    ],
)
def test_arguments(more, masked, wanted):
    sandbox = Sandbox(name="c", view="/v/c", hostname="box", **more)
    found = bubblewrap_arguments(sandbox, pid_namespace_fd=5, info_fd=6, block_fd=7, masked=frozenset(masked))
    assert found == [*wanted, *END]
