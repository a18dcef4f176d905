"""Where the operations are measured: a bare directory, and the same kind of directory seen through a peer.

Each target is a context manager that gives a directory one level below its mount. Servers run as processes of their
own, so that the measuring process shares no interpreter lock with them.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.containers import create, import_empty
from volfuse.cli.client import Client
from volfuse.sys.mountinfo import mount_at
from volfuse.testing import DaemonProcess

__all__ = ["Target", "available"]

_DEADLINE_S = 20.0

Target = Callable[[Path], AbstractContextManager[Path]]


@contextmanager
def _native(work: Path) -> Iterator[Path]:
    directory = work / "native" / "below"
    directory.mkdir(parents=True)
    yield directory


@contextmanager
def _served(work: Path, name: str, command: list[str]) -> Iterator[Path]:
    """Serve `work/NAME-source` at `work/NAME` by a command that stays in the foreground."""
    source, mount = work / f"{name}-source", work / name
    (source / "below").mkdir(parents=True)
    mount.mkdir()
    process = subprocess.Popen([*command, str(source), str(mount)])
    try:
        _wait_for_mount(mount, process)
        yield mount / "below"
    finally:
        subprocess.run(["umount", "--lazy", str(mount)], check=True)
        process.wait(_DEADLINE_S)


def _wait_for_mount(mount: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until something is mounted: the kernel signals a change of mountinfo as POLLPRI."""
    deadline = time.monotonic() + _DEADLINE_S
    with open("/proc/self/mountinfo", "rb") as mountinfo:
        poller = select.poll()
        poller.register(mountinfo, select.POLLPRI)
        while mount_at(os.fsencode(mount)) is None:
            left = deadline - time.monotonic()
            if left <= 0 or process.poll() is not None:
                raise RuntimeError(f"nothing was mounted at {mount}")
            poller.poll(min(left, 1) * 1000)


def _loopback(work: Path) -> AbstractContextManager[Path]:
    script = Path(__file__).with_name("loopback.py")
    return _served(work, "loopback", [sys.executable, str(script)])


def _bindfs(work: Path) -> AbstractContextManager[Path]:
    zero = "attr_timeout=0,entry_timeout=0,negative_timeout=0"
    return _served(work, "bindfs", ["bindfs", "-f", "-o", zero])


def _volfuse(transport: str, where: str) -> Target:
    @contextmanager
    def target(work: Path) -> Iterator[Path]:
        root = work / f"volfuse-{transport}-{where}"
        with DaemonProcess(root, "--transport", transport) as daemon:
            client = Client(str(daemon.socket))
            import_empty(client)
            create(client, "one", volumes={"/shared": {}})
            create(client, "two", volumes_from=["one"])
            client.close()
            directory = daemon.views / "one" / where / "below"
            directory.mkdir(parents=True)
            yield directory

    return target


def available() -> dict[str, Target]:
    """Return the targets that this machine has, native first."""
    targets: dict[str, Target] = {"native": _native, "fusepy loopback": _loopback}
    if shutil.which("bindfs"):
        targets["bindfs, timeouts 0"] = _bindfs
    targets["volfuse fusepy, shared"] = _volfuse("fusepy", "shared")
    return targets
