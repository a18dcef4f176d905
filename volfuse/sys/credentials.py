"""Acting as another user for one system call.

The daemon is root and does for a caller what the kernel has already permitted; what it makes must belong to the caller.
File-system ids belong to a thread (man 2 setfsuid), so others are not affected. Going from root to another fsuid
takes away the capabilities of the file-system kind (man 7 capabilities); `acting_as` gives them back, `writing_as` does
not, so that the kernel takes set-user-id bits away as it does for the caller.

For root, and where the daemon itself is not root, both do nothing at all.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import AbstractContextManager
from types import TracebackType

from volfuse.sys.libc import LIBC, failed

__all__ = ["acting_as", "writing_as"]

_VERSION_3 = 0x20080522  # include/uapi/linux/capability.h


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


class _Same:
    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _Acting:
    __slots__ = ("_gid", "_powers", "_uid")

    def __init__(self, uid: int, gid: int, powers: bool) -> None:
        self._uid = uid
        self._gid = gid
        self._powers = powers

    def __enter__(self) -> None:
        LIBC.setfsgid(self._gid)
        LIBC.setfsuid(self._uid)
        if self._powers:
            try:
                _raise_effective()
            except OSError:
                self._back()
                raise

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._back()

    def _back(self) -> None:
        LIBC.setfsuid(0)
        LIBC.setfsgid(0)


_SAME = _Same()


def acting_as(uid: int, gid: int) -> AbstractContextManager[None]:
    """Own what is made inside the block as `uid` and `gid`, with the daemon's own permissions."""
    if (uid == 0 and gid == 0) or os.geteuid() != 0:
        return _SAME
    return _Acting(uid, gid, powers=True)


def writing_as(uid: int) -> AbstractContextManager[None]:
    """Write inside the block as `uid`: without CAP_FSETID for anyone but root."""
    if uid == 0 or os.geteuid() != 0:
        return _SAME
    return _Acting(uid, 0, powers=False)


def _raise_effective() -> None:
    """Make every permitted capability of this thread effective."""
    header = _Header(_VERSION_3, 0)
    data = (_Data * 2)()
    if LIBC.capget(ctypes.byref(header), data) != 0:
        raise failed()
    for half in data:
        half.effective = half.permitted
    if LIBC.capset(ctypes.byref(header), data) != 0:
        raise failed()
