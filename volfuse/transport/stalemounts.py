"""Mounts that a killed daemon left: they answer ENOTCONN, and hinder the next until they are detached."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable

from volfuse.errors import Conflict
from volfuse.sys.mount import MNT_DETACH, umount2
from volfuse.sys.mountinfo import MountInfo, mount_at, read_mountinfo
from volfuse.transport.fusermount import unmount_as_user

__all__ = ["FS_TYPE", "detach_stale", "mounts_below", "take_over"]

_log = logging.getLogger(__name__)

FS_TYPE = b"fuse.volfuse"


def take_over(mountpoint: bytes) -> None:
    """Make a directory ready to be mounted on: detach what a killed daemon has left there.

    Raises:
        Conflict: what is mounted there is alive, or not ours.
    """
    detach_stale(mountpoint)
    if mount_at(os.path.realpath(mountpoint)) is not None:
        raise Conflict(f"{os.fsdecode(mountpoint)}: something is mounted there already")


def detach_stale(directory: bytes) -> None:
    """Detach our mounts at or below a directory that nobody serves any more. Others, and those alive, stay.

    Raises:
        Conflict: an ordinary user may not detach one.
        OSError: the system refuses.
    """
    directory = os.path.realpath(directory)
    # One at a time: what is mounted below one goes with it, and what it was mounted over may be alive.
    while (target := _first_dead(directory)) is not None:
        _log.info("detaching %s, which the last daemon has left", os.fsdecode(target))
        if os.geteuid() == 0:
            umount2(target, MNT_DETACH)
        elif not unmount_as_user(target, lazy=True):
            raise Conflict(f"{os.fsdecode(target)}: a stale mount cannot be detached")


def mounts_below(directory: bytes, mounts: Iterable[MountInfo]) -> Iterable[bytes]:
    """Yield the mount points of our mounts at or below a directory, in the order of mounting."""
    for mount in mounts:
        below = mount.mount_point.startswith(directory.rstrip(b"/") + b"/")
        if mount.fs_type == FS_TYPE and (below or mount.mount_point == directory):
            yield mount.mount_point


def _first_dead(directory: bytes) -> bytes | None:
    # The outermost first: through it the others cannot be reached.
    targets = sorted(mounts_below(directory, read_mountinfo()), key=len)
    return next((target for target in targets if _is_dead(target)), None)


def _is_dead(target: bytes) -> bool:
    try:
        os.statvfs(target)  # always asks the daemon, where attributes may come from the cache
    except OSError as exc:
        return exc.errno == errno.ENOTCONN
    return False
