"""Record locks of open file descriptions, and flock, both interruptible.

Open file description locks conflict with the POSIX locks of other processes but belong to a descriptor, so one
process can hold locks for many owners (man 2 fcntl). The calls of Python repeat after EINTR; these return it, since
an interrupted caller must not wait on.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from volfuse.sys.libc import LIBC, failed

__all__ = ["RawFlock", "RecordLock", "flock", "get_record_lock", "set_record_lock"]

# include/uapi/asm-generic/fcntl.h
_F_OFD_GETLK = 36
_F_OFD_SETLK = 37
_F_OFD_SETLKW = 38
_SEEK_SET = 0

_FCNTL = getattr(LIBC, "fcntl64", LIBC.fcntl)


class RecordLock(NamedTuple):
    """A range and how it is locked.

    Attributes:
        kind: fcntl.F_RDLCK, F_WRLCK or F_UNLCK.
        length: 0 reaches to the end of the file, however it grows.
        pid: of the holder, -1 for an open file description lock.
    """

    kind: int
    start: int
    length: int
    pid: int = 0


class RawFlock(ctypes.Structure):
    """struct flock with 64-bit offsets."""

    _fields_ = (
        ("l_type", ctypes.c_short),
        ("l_whence", ctypes.c_short),
        ("l_start", ctypes.c_int64),
        ("l_len", ctypes.c_int64),
        ("l_pid", ctypes.c_int),
    )


def set_record_lock(fd: int, lock: RecordLock, *, wait: bool) -> None:
    """Lock or unlock a range for the open file description of `fd`.

    Raises:
        OSError: EAGAIN if another holds it and `wait` is false, EINTR if a signal ended the wait, EBADF if `fd` is not
            open for what the lock protects.
    """
    raw = RawFlock(lock.kind, _SEEK_SET, lock.start, lock.length, 0)
    if _FCNTL(fd, _F_OFD_SETLKW if wait else _F_OFD_SETLK, ctypes.byref(raw)) != 0:
        raise failed()


def get_record_lock(fd: int, lock: RecordLock) -> RecordLock:
    """Return a lock that stands in the way of `lock`, or `lock` with kind F_UNLCK."""
    raw = RawFlock(lock.kind, _SEEK_SET, lock.start, lock.length, 0)
    if _FCNTL(fd, _F_OFD_GETLK, ctypes.byref(raw)) != 0:
        raise failed()
    return RecordLock(raw.l_type, raw.l_start, raw.l_len, raw.l_pid)


def flock(fd: int, operation: int) -> None:
    """Lock the whole file (LOCK_SH, LOCK_EX, LOCK_UN, with LOCK_NB not to wait).

    Raises:
        OSError: EWOULDBLOCK with LOCK_NB, EINTR if a signal ended the wait.
    """
    if LIBC.flock(fd, operation) != 0:
        raise failed()
