"""The listening socket of the API: only for its owner, at a path of any length, and never in place of a live one."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from volfuse.errors import Conflict
from volfuse.sys.owned import owned

__all__ = ["listen"]

_BACKLOG = 256
_NAME = "socket"


@contextmanager
def listen(path: str) -> Iterator[socket.socket]:
    """Listen at an absolute path during the block; mode 0600, a socket that nobody serves any more is replaced.

    The socket is made in a directory that only its owner may enter and moved when it is ready, so there is no moment
    at which others can connect. Addresses are at most 107 bytes long (man 7 unix): it is named by a descriptor.

    Raises:
        Conflict: somebody serves there, or the path is no socket.
    """
    directory, name = os.path.split(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with owned(os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as directory_fd:
        _check_free(directory_fd, name, path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            _bind(listener, directory, directory_fd, name)
            own = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
            try:
                yield listener
            finally:
                _unlink_own(directory_fd, name, own)


def _check_free(directory_fd: int, name: str, path: str) -> None:
    try:
        found = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise Conflict(f"cannot listen at {path}: something that is no socket is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, contextlib.suppress(ConnectionRefusedError):
        probe.connect(f"/proc/self/fd/{directory_fd}/{name}")
        raise Conflict(f"cannot listen at {path}: another process does")


def _bind(listener: socket.socket, directory: str, directory_fd: int, name: str) -> None:
    with (
        tempfile.TemporaryDirectory(prefix=".volfuse-", dir=directory) as private,
        owned(os.open(private, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as private_fd,
    ):
        listener.bind(f"/proc/self/fd/{private_fd}/{_NAME}")
        os.chmod(f"/proc/self/fd/{private_fd}/{_NAME}", 0o600)
        listener.listen(_BACKLOG)
        os.rename(_NAME, name, src_dir_fd=private_fd, dst_dir_fd=directory_fd)


def _unlink_own(directory_fd: int, name: str, own: os.stat_result) -> None:
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
            os.unlink(name, dir_fd=directory_fd)
