"""Reaching the caller's own files whose permission bits deny it to him.

The trees of images hold such files (`/etc/shadow` of mode 0000). Privilege passes over the bits; without it the owner
adds the bits that are missing.
"""

from __future__ import annotations

import os
import stat

__all__ = ["DIRECTORY", "PATH", "PROC_FD", "chmod_at", "denied"]

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
PROC_FD = b"/proc/self/fd/%d"
"""Reaches what an O_PATH descriptor refers to, be it a symbolic link: the last step is not followed further."""


def denied(found: os.stat_result, wanted: int) -> bool:
    """Whether a file of the caller's own lacks these owner's bits, and the caller no privilege to pass over it."""
    euid = os.geteuid()
    return euid != 0 and found.st_uid == euid and found.st_mode & wanted != wanted


def chmod_at(dirfd: int, name: bytes, mode: int) -> None:
    """Change the mode of a name without following it if it is a link by now."""
    fd = os.open(name, PATH, dir_fd=dirfd)
    try:
        os.chmod(PROC_FD % fd, stat.S_IMODE(mode))
    finally:
        os.close(fd)
