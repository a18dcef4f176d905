"""Where an open file is now, by its descriptor: names change, and the host tells nobody."""

from __future__ import annotations

import os
from typing import Final

from volfuse.core.watching import identity
from volfuse.fs.descriptors import Parent

__all__ = ["directory_of", "place_of"]

_TRIES: Final = 5
"""How often a directory is looked for that is being renamed."""


def place_of(fd: int, root_fd: int) -> bytes | None:
    """Return the path below a source at which an open file is; None if it has been unlinked, or is elsewhere."""
    if not os.fstat(fd).st_nlink:
        return None
    root, path = (os.fsencode(os.readlink(f"/proc/self/fd/{number}")) for number in (root_fd, fd))
    if path == root:
        return b""
    return path[len(root) + 1 :] if path.startswith(root + b"/") else None


def directory_of(fd: int, root_fd: int) -> tuple[bytes, bytes] | None:
    """Return the directory (its identity) and the name that an open file has there; None if it has none."""
    for _ in range(_TRIES):
        rel = place_of(fd, root_fd)
        if rel is None:
            return None
        try:
            with Parent(root_fd, rel) as (dirfd, name):
                status = os.fstat(dirfd)
        except OSError:
            continue
        return identity(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino), name
    return None
