"""openat2(2): open a path relative to a directory without leaving it.

Source: include/uapi/linux/openat2.h. Where the kernel or a seccomp filter lacks the call, the path is walked
one component at a time; that serves `BENEATH | NO_SYMLINKS`, which is all that volfuse asks for.
"""

from __future__ import annotations

import ctypes
import errno
import os
from functools import lru_cache
from typing import Any

from volfuse.errors import Unavailable
from volfuse.sys.libc import LIBC, failed

__all__ = [
    "RESOLVE_BENEATH",
    "RESOLVE_IN_ROOT",
    "RESOLVE_NO_MAGICLINKS",
    "RESOLVE_NO_SYMLINKS",
    "RESOLVE_NO_XDEV",
    "WITHIN",
    "openat2",
]

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

WITHIN = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
"""Never above the directory and never through a link."""

_NR_OPENAT2 = 437  # the same number on every architecture (include/uapi/asm-generic/unistd.h)
_EAGAIN_TRIES = 128


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_HOW_SIZE = ctypes.sizeof(_OpenHow)
_SYSCALL = LIBC["syscall"]
_SYSCALL.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t]
_SYSCALL.restype = ctypes.c_long


def openat2(dirfd: int, path: bytes, flags: int, mode: int = 0, resolve: int = WITHIN) -> int:
    """Open `path` relative to `dirfd` and return a descriptor that the caller closes.

    Args:
        dirfd: directory, O_PATH will do.
        path: relative; not empty.
        flags: O_CLOEXEC is added.
        mode: only with O_CREAT or O_TMPFILE, else EINVAL.
        resolve: RESOLVE_* bits.

    Raises:
        OSError: ELOOP for a link, EXDEV for a way out, EAGAIN if a rename raced each of many tries.
        Unavailable: the kernel lacks the call and `resolve` is more than the walk can promise.
    """
    how = _how(flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(_EAGAIN_TRIES):
        fd: int = _SYSCALL(_NR_OPENAT2, dirfd, path, how, _HOW_SIZE)
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number == errno.ENOSYS:
            return _walk(dirfd, path, flags, mode, resolve)
        # RESOLVE_BENEATH gives EAGAIN when a rename anywhere made `..` uncertain (man 2 openat2).
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise failed(path)


@lru_cache(maxsize=64)
def _how(flags: int, mode: int, resolve: int) -> Any:  # noqa: ANN401 (ctypes has no name for what byref returns)
    """Return a pointer to struct open_how; the kernel only reads it, so calls share it."""
    return ctypes.byref(_OpenHow(flags, mode, resolve))


def _walk(dirfd: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    """Open `path` one component at a time, following nothing."""
    if resolve & ~WITHIN or not resolve & RESOLVE_NO_SYMLINKS:
        raise Unavailable("openat2 is not available: Linux 5.6 or newer is needed")
    names = [name for name in path.split(b"/") if name and name != b"."]
    if b".." in names or path.startswith(b"/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    if not names:
        return os.open(b".", flags | os.O_CLOEXEC, dir_fd=dirfd)
    current = dirfd
    try:
        for name in names[:-1]:
            below = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
            if current != dirfd:
                os.close(current)
            current = below
        return os.open(names[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=current)
    finally:
        if current != dirfd:
            os.close(current)
