"""Paths of a container, followed inside a tree's root that they cannot leave."""

from __future__ import annotations

import errno
import os

from volfuse.core.links import follow_links
from volfuse.errors import Internal
from volfuse.sys.openat2 import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

__all__ = ["follow", "make_directories", "open_directory"]

_SAFE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
_NO_LINK = frozenset({errno.EINVAL, errno.ENOENT, errno.ENOTDIR})


def follow(root_fd: int, path: bytes) -> tuple[bytes, ...]:
    """Return the components of a container's path with the links of the tree at `root_fd` followed.

    Raises:
        OSError: ELOOP, ENAMETOOLONG, or what the system says of a component.
    """

    def readlink(components: tuple[bytes, ...]) -> bytes | None:
        try:
            return os.readlink(b"/".join(components), dir_fd=root_fd)
        except OSError as exc:
            if exc.errno in _NO_LINK:
                return None
            raise

    return follow_links(path, readlink)


def open_directory(root_fd: int, path: bytes) -> int:
    """Open the directory that a container's path leads to; the caller owns the descriptor.

    Raises:
        FileNotFoundError, NotADirectoryError: there is none.
    """
    components = follow(root_fd, path)
    return openat2(root_fd, b"/".join(components) or b".", os.O_RDONLY | os.O_DIRECTORY, resolve=_SAFE)


def make_directories(root_fd: int, path: bytes) -> None:
    """Make the directories of a container's path that are missing (0755).

    Raises:
        Internal: one of them is something else.
    """
    fd = openat2(root_fd, b".", os.O_PATH | os.O_DIRECTORY, resolve=_SAFE)
    try:
        for name in follow(root_fd, path):
            try:
                os.mkdir(name, dir_fd=fd)
                os.chmod(name, 0o755, dir_fd=fd)
            except FileExistsError:
                pass
            try:
                below = openat2(fd, name, os.O_PATH | os.O_DIRECTORY, resolve=_SAFE)
            except NotADirectoryError as exc:
                raise Internal(f"Cannot mkdir: {os.fsdecode(path)} is not a directory") from exc
            os.close(fd)
            fd = below
    finally:
        os.close(fd)
