"""Removing directory trees, relative to a descriptor and without following links."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat

from volfuse.fs.unlocked import DIRECTORY, chmod_at, denied
from volfuse.sys.owned import owned

__all__ = ["remove_tree"]

_OPEN_LEVELS = 32


def remove_tree(dirfd: int, name: bytes) -> None:
    """Remove a file, or a directory with all below it, whatever its own permission bits are.

    What lies too deep to hold open is first moved to the top of the tree, so depth costs neither descriptors nor
    stack. A name that is not there is no error.

    Raises:
        OSError: something below is not the caller's to remove, or a mount point.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=dirfd, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=dirfd)
            return
        removal = _Removal(dirfd, name)
        try:
            removal.run()
        finally:
            removal.close()


class _Removal:
    """State of one remove_tree."""

    def __init__(self, dirfd: int, name: bytes) -> None:
        self._dirfd = dirfd
        self._name = name
        self._top_fd = _open_to_empty(dirfd, name)
        self._prefix = b".removing-" + secrets.token_hex(8).encode()
        self._moved = 0

    def run(self) -> None:
        """Empty the tree, again for what was moved to its top, then remove it."""
        while True:
            moved_before = self._moved
            self._empty(self._top_fd, 1)
            if self._moved == moved_before:
                os.rmdir(self._name, dir_fd=self._dirfd)
                return

    def close(self) -> None:
        """Close the top directory."""
        os.close(self._top_fd)

    def _empty(self, directory_fd: int, depth: int) -> None:
        with os.scandir(directory_fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(name, dir_fd=directory_fd)
                elif depth < _OPEN_LEVELS:
                    self._remove_directory(directory_fd, name, depth)
                else:
                    self._move_to_top(directory_fd, name)

    def _remove_directory(self, directory_fd: int, name: bytes, depth: int) -> None:
        with owned(_open_to_empty(directory_fd, name)) as fd:
            self._empty(fd, depth + 1)
        os.rmdir(name, dir_fd=directory_fd)

    def _move_to_top(self, directory_fd: int, name: bytes) -> None:
        self._moved += 1
        _unlock_directory(directory_fd, name)  # a directory that changes its parent must be writable itself
        os.rename(name, self._prefix + b"-%d" % self._moved, src_dir_fd=directory_fd, dst_dir_fd=self._top_fd)


def _unlock_directory(dirfd: int, name: bytes) -> None:
    found = os.stat(name, dir_fd=dirfd, follow_symlinks=False)
    if denied(found, 0o700):
        chmod_at(dirfd, name, found.st_mode | 0o700)


def _open_to_empty(dirfd: int, name: bytes) -> int:
    _unlock_directory(dirfd, name)
    return os.open(name, DIRECTORY, dir_fd=dirfd)
