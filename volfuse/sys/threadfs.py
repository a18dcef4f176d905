"""A umask for one family of threads.

The umask belongs to the process, and a file system must create files with exactly the mode it is asked for. A thread
that no longer shares it (unshare(CLONE_FS)) hands its own umask on to the threads it starts, and to no others.
"""

from __future__ import annotations

import os

from volfuse.sys.libc import LIBC, failed

__all__ = ["own_umask"]

_CLONE_FS = 0x00000200


def own_umask(mask: int) -> None:
    """Give this thread, and those it will start, a umask of their own (also their own working directory)."""
    if LIBC.unshare(_CLONE_FS) != 0:
        raise failed()
    os.umask(mask)
