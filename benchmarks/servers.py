"""Processes that serve a mount: started, waited for, and ended, whatever happens in between."""

from __future__ import annotations

import os
import resource
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from volfuse.sys.mount import MNT_DETACH, umount2
from volfuse.sys.mountinfo import mount_at, read_mountinfo

__all__ = ["detach_below", "serving"]

_DEADLINE_S = 20.0
_PATIENCE_S = 3.0


@contextmanager
def serving(command: Sequence[str], mount: Path) -> Iterator[int]:
    """Run a command that serves `mount` in the foreground; yield its process id.

    It has a session of its own, so that ctrl-C reaches only the benchmark, which then ends it.

    Raises:
        RuntimeError: nothing was mounted.
    """
    process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        _allow_many_files(process.pid)
        _wait_for_mount(mount, process)
        yield process.pid
    finally:
        detach_below(mount)
        _end(process)


def detach_below(directory: Path) -> None:
    """Detach all that is mounted at or below a directory, the last mounted first."""
    place = os.fsencode(os.path.realpath(directory))
    targets = [mount.mount_point for mount in read_mountinfo()]
    for target in reversed(targets):
        if target == place or target.startswith(place + b"/"):
            with suppress(OSError):
                umount2(target, MNT_DETACH)


def _allow_many_files(pid: int) -> None:
    """Let a server keep a descriptor for each file, as passthrough_ll does; only root can."""
    most = int(Path("/proc/sys/fs/nr_open").read_text())
    with suppress(PermissionError):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))


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


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a server whose mount is gone; it does not end by itself while files are open."""
    for ending in (process.terminate, process.kill):
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE_S)
            return
        ending()
    process.wait()
