"""Reaching the caller's own files whose permission bits deny it to him.

The trees of images hold such files (`/etc/shadow` of mode 0000). Privilege passes over the bits; without it the owner
adds the bits that are missing.
"""

from __future__ import annotations

import os
import stat

from volfuse.fs.descriptors import self_path
from volfuse.sys.owned import owned

__all__ = ["DIRECTORY", "PATH", "chmod_at", "denied"]

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def denied(found: os.stat_result, wanted: int) -> bool:
    """Whether a file of the caller's own lacks these owner's bits, and the caller no privilege to pass over it."""
    euid = os.geteuid()
    return euid != 0 and found.st_uid == euid and found.st_mode & wanted != wanted


def chmod_at(dirfd: int, name: bytes, mode: int) -> None:
    """Change the mode of a name without following it if it is a link by now."""
    with owned(os.open(name, PATH, dir_fd=dirfd)) as fd:
        os.chmod(self_path(fd), stat.S_IMODE(mode))
