"""Mounts that a killed daemon left: found in mountinfo and detached before anything new is mounted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable

import structlog

from volfuse.sys.mount import MNT_DETACH, umount2

__all__ = ["detach_stale", "fuse_mounts_below"]

_log = structlog.get_logger(__name__)


def detach_stale(directory: bytes) -> None:
    """Detach FUSE mounts at or below a directory, the last mounted first.

    Raises:
        OSError: the system refuses.
    """
    with open("/proc/self/mountinfo", "rb") as mountinfo:
        stale = list(fuse_mounts_below(directory, mountinfo))
    for target in reversed(stale):
        _log.info("detaching a mount that the last daemon left", directory=os.fsdecode(target))
        _detach(target)


def fuse_mounts_below(directory: bytes, mountinfo: Iterable[bytes]) -> Iterable[bytes]:
    """Yield the mount points of FUSE file systems at or below a directory, in the order of mounting.

    Source: proc_pid_mountinfo(5): the fifth field is the mount point, with octal escapes; the type follows a lone `-`.
    """
    for line in mountinfo:
        fields = line.split()
        kind = fields[fields.index(b"-") + 1]
        target = _unescape(fields[4])
        if kind.startswith(b"fuse") and (target == directory or target.startswith(directory.rstrip(b"/") + b"/")):
            yield target


def _unescape(field: bytes) -> bytes:
    for code in (b"\\040", b"\\011", b"\\012"):
        field = field.replace(code, bytes([int(code[1:], 8)]))
    return field.replace(b"\\134", b"\\")


def _detach(target: bytes) -> None:
    if os.geteuid() == 0:
        umount2(target, MNT_DETACH)
        return
    subprocess.run([b"fusermount3", b"-u", b"-z", b"--", target], check=True, stdin=subprocess.DEVNULL)
