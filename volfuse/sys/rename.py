"""renameat2(2): rename with flags, relative to directories."""

from __future__ import annotations

import ctypes

from volfuse.sys.at import renameat
from volfuse.sys.libc import LIBC, failed

__all__ = ["RENAME_EXCHANGE", "RENAME_NOREPLACE", "RENAME_WHITEOUT", "renameat2"]

# include/uapi/linux/fs.h
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4


def renameat2(old_dirfd: int, old: bytes, new_dirfd: int, new: bytes, flags: int) -> None:
    """Rename `old` to `new`; without flags this is the plain rename of every kernel.

    Raises:
        OSError: EEXIST with NOREPLACE, ENOENT with EXCHANGE, EINVAL where the file system lacks the flag.
    """
    if not flags:
        renameat(old_dirfd, old, new_dirfd, new)
    elif LIBC.renameat2(old_dirfd, old, new_dirfd, new, ctypes.c_uint(flags)) != 0:
        raise failed(old, new)
