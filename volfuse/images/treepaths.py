"""Directories of an image's tree while it is unpacked, found as a container would find them.

A link on the way is followed, but never out of the tree; what is opened is opened without following anything.
"""

from __future__ import annotations

import errno
import os

from volfuse.core.links import follow_links
from volfuse.errors import InvalidSpec
from volfuse.fs.descriptors import self_path
from volfuse.images.archive import shown
from volfuse.sys.openat2 import openat2
from volfuse.sys.owned import owned

__all__ = ["PATH_DIRECTORY", "TreePath", "TreePaths"]

PATH_DIRECTORY = os.O_PATH | os.O_DIRECTORY

TreePath = tuple[bytes, ...]
"""Components from the root of the tree."""


class TreePaths:
    """Opens the directories of one tree; keeps the last entry's parent open, as the next one's is mostly the same."""

    def __init__(self, root_fd: int) -> None:
        """Take the root of the tree; the descriptor stays the caller's."""
        self._root_fd = root_fd
        self._parent: tuple[TreePath, TreePath, int] | None = None  # as named, as resolved, descriptor
        self._stale = False  # whether the name of the parent may mean another directory now

    def open(self, path: TreePath, flags: int) -> int:
        """Open a resolved path of the tree, following nothing."""
        return openat2(self._root_fd, b"/".join(path) or b".", flags | os.O_CLOEXEC)

    def open_parent(self, named: TreePath) -> tuple[TreePath, int]:
        """Return the directory that an entry's parent means, made where it is missing: its path and descriptor.

        The descriptor is kept here until another parent is asked for, or `close_parent`.
        """
        if self._parent is None or self._stale or self._parent[0] != named:
            path = self.resolve(named)
            fd = self._open_or_make(path)
            self.close_parent()
            self._parent = (named, path, fd)
            self._stale = False
        return self._parent[1], self._parent[2]

    def close_parent(self) -> None:
        """Close the parent that was opened last."""
        if self._parent is not None:
            os.close(self._parent[2])
            self._parent = None

    def forget_names(self) -> None:
        """Say that something was removed: the name of the parent may mean another directory now."""
        self._stale = True

    def _open_or_make(self, path: TreePath) -> int:
        try:
            return self.open(path, PATH_DIRECTORY)
        except FileNotFoundError:
            pass
        fd = self.open((), PATH_DIRECTORY)
        for name in path:
            with owned(fd):
                fd = _open_or_make_one(fd, name)
        return fd

    def resolve(self, path: TreePath) -> TreePath:
        """Follow the links along a path, inside the tree.

        Raises:
            InvalidSpec: one of them leads out.
        """
        try:
            os.close(self.open(path, PATH_DIRECTORY))
        except FileNotFoundError:
            pass
        except OSError as exc:
            if exc.errno != errno.ELOOP:
                raise
        else:
            return path
        return follow_links(b"/" + b"/".join(path), self._readlink)

    def _readlink(self, path: TreePath) -> bytes | None:
        try:
            fd = self.open(path[:-1], PATH_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            with owned(fd):
                target = os.readlink(path[-1], dir_fd=fd)
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno != errno.EINVAL:  # EINVAL: there, but no link
                raise
            return None
        if _leads_out(path, target):
            raise InvalidSpec(f"invalid archive: the link {shown(b'/'.join(path))} on the way leads out of the image")
        return target


def _open_or_make_one(dirfd: int, name: bytes) -> int:
    """Open a directory, or make it as a parent that no entry names: 0755, of the caller."""
    flags = PATH_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=dirfd)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=dirfd)
    fd = os.open(name, flags, dir_fd=dirfd)
    os.chmod(self_path(fd), 0o755)
    return fd


def _leads_out(link: TreePath, target: bytes) -> bool:
    """Tell whether a target has more `..` than there are directories above the link."""
    depth = 0 if target.startswith(b"/") else len(link) - 1
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in (b"", b"."):
            depth += 1
        if depth < 0:
            return True
    return False
