"""Mounts that a killed daemon left: found in mountinfo and detached before anything new is mounted."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterable

import structlog

from volfuse.sys.mount import MNT_DETACH, umount2
from volfuse.sys.mountinfo import MountInfo, read_mountinfo

__all__ = ["detach_stale", "fuse_mounts_below"]

_log = structlog.get_logger(__name__)


def detach_stale(directory: bytes) -> None:
    """Detach the FUSE mounts at or below a directory that nobody serves any more, the last mounted first.

    Raises:
        OSError: the system refuses.
    """
    directory = os.path.realpath(directory)
    stale = [target for target in fuse_mounts_below(directory, read_mountinfo()) if _is_dead(target)]
    for target in reversed(stale):
        _log.info("detaching a mount that the last daemon left", directory=os.fsdecode(target))
        _detach(target)


def fuse_mounts_below(directory: bytes, mounts: Iterable[MountInfo]) -> Iterable[bytes]:
    """Yield the mount points of FUSE file systems at or below a directory, in the order of mounting."""
    for mount in mounts:
        below = mount.mount_point.startswith(directory.rstrip(b"/") + b"/")
        if mount.fs_type.startswith(b"fuse") and (below or mount.mount_point == directory):
            yield mount.mount_point


def _is_dead(target: bytes) -> bool:
    try:
        os.statvfs(target)  # always asks the daemon, where attributes may come from the cache
    except OSError as exc:
        return exc.errno == errno.ENOTCONN
    return False


def _detach(target: bytes) -> None:
    if os.geteuid() == 0:
        umount2(target, MNT_DETACH)
        return
    subprocess.run([b"fusermount3", b"-u", b"-z", b"--", target], check=True, stdin=subprocess.DEVNULL)
