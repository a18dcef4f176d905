"""inotify(7): one instance that watches many directories, each by a descriptor.

A watch belongs to the inode: it follows a renamed directory, and no path is looked up that somebody could replace.
Names are bytes. Libraries take many microseconds for an event, and here one interpreter serves the very files that are
watched.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

from volfuse.errors import Unavailable
from volfuse.sys.libc import LIBC, failed
from volfuse.sys.raw import piece, u32

__all__ = ["IN_MASK_ADD", "IN_ONLYDIR", "add_watch", "events", "open_instance", "remove_watch"]

IN_ONLYDIR: Final = 0x01000000
IN_MASK_ADD: Final = 0x20000000
_IN_NONBLOCK: Final = os.O_NONBLOCK
_IN_CLOEXEC: Final = os.O_CLOEXEC

_HEAD_BYTES: Final = 16
"""Of struct inotify_event: wd, mask, cookie, len; then the name, filled up with NUL bytes to len."""
_NOBODY: Final = 0xFFFFFFFF

_ADD = LIBC["inotify_add_watch"]
_ADD.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
_REMOVE = LIBC["inotify_rm_watch"]
_REMOVE.argtypes = [ctypes.c_int, ctypes.c_int]


def open_instance() -> int:
    """Return the descriptor of a new instance, which does not block.

    Raises:
        Unavailable: the user has too many instances, or the process too many descriptors.
    """
    fd: int = LIBC.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
    if fd >= 0:
        return fd
    if ctypes.get_errno() == errno.EMFILE:
        raise Unavailable("inotify: no more instances: raise fs.inotify.max_user_instances")
    raise failed()


def add_watch(fd: int, directory_fd: int, mask: int) -> int:
    """Watch the directory that a descriptor, O_PATH too, is open on; return the watch descriptor.

    A directory that the instance watches already keeps its number, and its mask is replaced.

    Raises:
        Unavailable: there are no more watches.
        OSError: ENOTDIR for anything but a directory.
    """
    wd: int = _ADD(fd, b"/proc/self/fd/%d" % directory_fd, mask | IN_ONLYDIR)
    if wd >= 0:
        return wd
    if ctypes.get_errno() == errno.ENOSPC:
        raise Unavailable("inotify: no more watches: raise fs.inotify.max_user_watches")
    raise failed()


def remove_watch(fd: int, wd: int) -> None:
    """End a watch; one that has ended with its directory is no error."""
    if _REMOVE(fd, wd) != 0 and ctypes.get_errno() != errno.EINVAL:
        raise failed()


def events(buffer: bytearray, end: int) -> list[tuple[int, int, int, bytes]]:
    """Return watch descriptor, mask, cookie and name of each event in what was read from an instance.

    Args:
        end: how much was read.
    """
    found, at = [], 0
    while at < end:
        start = at + _HEAD_BYTES
        length = u32(buffer, at + 12)
        name = piece(buffer, start, start + length).rstrip(b"\0") if length else b""
        # The watch descriptor is signed: that of an overflow is -1.
        wd = u32(buffer, at)
        found.append((wd if wd != _NOBODY else -1, u32(buffer, at + 4), u32(buffer, at + 8), name))
        at = start + length
    return found
