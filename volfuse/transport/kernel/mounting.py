"""Mounting the connection, and taking it away.

Root mounts by mount(2). Everyone else asks fusermount3, which hands the device over on a socket (`_FUSE_COMMFD`, the
interface that libfuse uses, doc/fusermount3.1). `nosuid,nodev` stay: on the host a view must not hand out root or
devices.
"""

from __future__ import annotations

import array
import errno
import os
import shutil
import socket
import subprocess
from typing import Final

from volfuse.errors import Unavailable
from volfuse.sys.mount import MNT_DETACH, MS_NODEV, MS_NOSUID, mount, umount2
from volfuse.sys.mountinfo import mount_at
from volfuse.transport.fusermount import unmount_as_user, user_allow_other
from volfuse.transport.stalemounts import FS_TYPE

__all__ = ["abort", "connection_of", "device_problem", "open_mounted", "unmount"]

_DEVICE: Final = b"/dev/fuse"
_DEVICE_NUMBER: Final = os.makedev(10, 229)
"""Character device of the FUSE driver (Documentation/admin-guide/devices.txt)."""
_MNT_FORCE: Final = 1
_FUSERMOUNT_S: Final = 30.0


def device_problem() -> str:
    """Return why /dev/fuse cannot be served here, empty if it can."""
    if os.geteuid() != 0:
        return "" if shutil.which("fusermount3") else "fusermount3 is not installed"
    try:
        fd = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as exc:
        return f"/dev/fuse: {exc.strerror}"
    try:
        return "" if os.fstat(fd).st_rdev == _DEVICE_NUMBER else "/dev/fuse is another device"
    finally:
        os.close(fd)


def open_mounted(mountpoint: bytes) -> int:
    """Mount a new connection on a directory and return its device, which the caller closes.

    Raises:
        Unavailable: it cannot be mounted here.
    """
    try:
        return _mount(mountpoint) if os.geteuid() == 0 else _fusermount(mountpoint)
    except OSError as exc:
        raise Unavailable(f"mount {os.fsdecode(mountpoint)}: {exc.strerror or exc}") from exc


def connection_of(mountpoint: bytes) -> int:
    """Return the number of the connection that is mounted here: the minor of its st_dev."""
    found = mount_at(mountpoint)
    return os.minor(found.device) if found is not None else -1


def unmount(mountpoint: bytes) -> None:
    """Take the mount away; where it is in use, detach it and end the connection: its users get ENOTCONN."""
    if os.geteuid() != 0:
        if not unmount_as_user(mountpoint):
            unmount_as_user(mountpoint, lazy=True)
        return
    try:
        umount2(mountpoint)
    except OSError as exc:
        if exc.errno == errno.EINVAL:  # somebody else has unmounted it
            return
        _force(mountpoint)


def abort(connection: int) -> None:
    """End a connection that is no longer mounted anywhere but still in use, where the kernel shows it."""
    try:
        with open(f"/sys/fs/fuse/connections/{connection}/abort", "wb") as file:
            file.write(b"1")
    except OSError as exc:
        if exc.errno not in (errno.ENOENT, errno.EACCES, errno.EPERM):
            raise


def _force(mountpoint: bytes) -> None:
    try:
        # Ends the connection, then finds the mount still in use (fs/fuse/inode.c, fuse_umount_begin).
        umount2(mountpoint, _MNT_FORCE)
    except OSError as exc:
        if exc.errno == errno.EINVAL:
            return
        umount2(mountpoint, MNT_DETACH)


def _mount(mountpoint: bytes) -> int:
    fd = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    options = b"fd=%d,rootmode=40000,user_id=%d,group_id=%d,default_permissions,allow_other"
    try:
        mount(b"volfuse", mountpoint, FS_TYPE, MS_NOSUID | MS_NODEV, options % (fd, os.geteuid(), os.getegid()))
    except OSError:
        os.close(fd)
        raise
    return fd


def _fusermount(mountpoint: bytes) -> int:
    options = "fsname=volfuse,subtype=volfuse,default_permissions" + (",allow_other" if user_allow_other() else "")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        done = subprocess.run(
            ["fusermount3", "-o", options, "--", os.fsdecode(mountpoint)],
            env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
            pass_fds=(theirs.fileno(),),
            stderr=subprocess.PIPE,
            timeout=_FUSERMOUNT_S,
            check=False,
        )
        if done.returncode != 0:
            raise Unavailable(f"mount {os.fsdecode(mountpoint)}: {done.stderr.decode(errors='replace').strip()}")
        return _receive(ours)


def _receive(sock: socket.socket) -> int:
    fds = array.array("i")
    _, ancillary, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: fds.itemsize])
            return fds[0]
    raise Unavailable("fusermount3 handed no device over")
