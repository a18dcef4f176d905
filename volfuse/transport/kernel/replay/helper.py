"""The helper: does again, in the views of those who watch, what happened in the source.

A program of its own, started as a file (`python -I -S helper.py FD`): it is small, imports nothing of volfuse, and
dies with the daemon, whose end of the socket closes. It opens nothing but the directories it is told to, and follows no
link.

It reads batches, each 4 bytes of length and a marshalled list of commands, and answers each with a marshalled list of
errno, 0 for what was done. Before each command it writes the command's number, and which attempt it is, into memory
that the daemon shares (a descriptor that comes with the first bytes): so the daemon knows what requests are about. The
daemon writes there until when nothing new is to be begun, and the helper whether it keeps to that just now.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import marshal
import mmap
import os
import socket
import stat
import struct
import sys
import time
from typing import Any, Final

__all__ = ["CURRENT", "MAGIC", "PAUSE_AT", "RESTS_AT", "SHARED_BYTES", "TIME", "main"]

MAGIC: Final = b"volfuse replay 1"
_LENGTH = struct.Struct("<I")
CURRENT = struct.Struct("qq")
"""At 0: number of the command, -1 without, and the attempt."""
TIME = struct.Struct("q")
PAUSE_AT: Final = 16
"""Until when to pause, in nanoseconds of time.monotonic_ns; the daemon writes it."""
RESTS_AT: Final = 24
"""1 during a pause."""
SHARED_BYTES: Final = 32
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = _WRITE | os.O_CREAT | os.O_EXCL

_LIBC = ctypes.CDLL(None, use_errno=True)
_AT_EMPTY_PATH: Final = 0x1000
_AT_HANDLE_FID: Final = 0x200
_AT_SYMLINK_NOFOLLOW: Final = 0x100
_AT_FDCWD: Final = -100
_NOW, _OMIT = (1 << 30) - 1, (1 << 30) - 2
_Times = ctypes.c_long * 4
_TOUCH = _Times(0, _NOW, 0, _NOW)
_WRITTEN = _Times(0, _OMIT, 0, _NOW)
"""The time of the last modification alone is told as a modification (include/linux/fsnotify.h, fsnotify_change)."""


class _Handle(ctypes.Structure):
    """struct file_handle with room for what FUSE puts into it: node id in two halves, generation."""

    _fields_ = (("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("words", ctypes.c_uint32 * 32))


class _Helper:
    """The directories that are open, by number, and what is done in them."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}

    def do(self, command: tuple[Any, ...]) -> int:
        """Do one thing; return the errno."""
        try:
            getattr(self, command[0])(*command[1:])
        except OSError as exc:
            return exc.errno or errno.EIO
        return 0

    def open(self, number: int, path: bytes, node: int) -> None:
        """Open a directory, which must have a node id."""
        fd = os.open(b"/", _DIRECTORY)
        for name in path.split(b"/"):
            if name:
                below = os.open(name, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = below
        if _node_of(fd) != node:
            os.close(fd)
            raise OSError(errno.ESTALE, "another directory is there")
        self._open[number] = fd

    def close(self, number: int) -> None:
        """Close a directory."""
        os.close(self._open.pop(number))

    def make(self, number: int, name: bytes, is_directory: bool) -> None:
        """Make a name."""
        if is_directory:
            os.mkdir(name, 0o700, dir_fd=self._fd(number))
        else:
            os.mknod(name, stat.S_IFREG | 0o600, dir_fd=self._fd(number))

    def remove(self, number: int, name: bytes, is_directory: bool) -> None:
        """Remove a name."""
        (os.rmdir if is_directory else os.unlink)(name, dir_fd=self._fd(number))

    def move(self, number: int, name: bytes, new_number: int, new_name: bytes) -> None:
        """Rename."""
        os.rename(name, new_name, src_dir_fd=self._fd(number), dst_dir_fd=self._fd(new_number))

    def attrib(self, number: int, name: bytes) -> None:
        """Set both times."""
        _set_times(self._fd(number), name, _TOUCH)

    def modify(self, number: int, name: bytes) -> None:
        """Set the time of the last modification alone."""
        _set_times(self._fd(number), name, _WRITTEN)

    def write(self, number: int, name: bytes, new: bool, modify: bool) -> None:
        """Open a file to write and close it; make it, and modify it, if wanted."""
        fd = os.open(name, _NEW if new else _WRITE, 0o600, dir_fd=self._fd(number))
        try:
            if modify and _LIBC.futimens(fd, _WRITTEN):
                raise OSError(ctypes.get_errno(), "futimens")
        finally:
            os.close(fd)

    def itself(self, number: int) -> None:
        """Set both times of a directory."""
        _set_times(_AT_FDCWD, b"/proc/self/fd/%d/." % self._fd(number), _TOUCH)

    def _fd(self, number: int) -> int:
        fd = self._open.get(number)
        if fd is None:
            raise OSError(errno.EBADF, "the directory could not be opened")
        return fd


def _set_times(dirfd: int, name: bytes, times: ctypes.Array[ctypes.c_long]) -> None:
    if _LIBC.utimensat(dirfd, name, times, _AT_SYMLINK_NOFOLLOW):
        raise OSError(ctypes.get_errno(), "utimensat")


def _node_of(fd: int) -> int:
    """Return the node id of a directory of FUSE (fs/fuse/export.c, fuse_encode_fh)."""
    handle, mount = _Handle(128), ctypes.c_int()
    # The flag is needed where the mount cannot be exported, and not known to Linux before 6.6, where it always can.
    for flags in (_AT_EMPTY_PATH | _AT_HANDLE_FID, _AT_EMPTY_PATH):
        if not _LIBC.name_to_handle_at(fd, b"", ctypes.byref(handle), ctypes.byref(mount), flags):
            break
    else:
        raise OSError(ctypes.get_errno(), "name_to_handle_at")
    number: int = handle.words[0] << 32 | handle.words[1]
    return number


def _pause(shared: mmap.mmap) -> None:
    """Begin nothing while the daemon wants it so."""
    while (left_ns := TIME.unpack_from(shared, PAUSE_AT)[0] - time.monotonic_ns()) > 0:
        TIME.pack_into(shared, RESTS_AT, 1)
        time.sleep(left_ns / 1e9)
    TIME.pack_into(shared, RESTS_AT, 0)


def main() -> None:
    """Work until the daemon closes the socket whose descriptor is the argument."""
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        head, fds, _, _ = socket.recv_fds(connection, len(MAGIC), 1)
        if head != MAGIC or len(fds) != 1:
            raise SystemExit("volfuse replay: the daemon is another version")
        # The daemon has ended when it reads no answer.
        gone = contextlib.suppress(BrokenPipeError, ConnectionResetError)
        with mmap.mmap(fds[0], SHARED_BYTES) as shared, connection.makefile("rb") as incoming, gone:
            os.close(fds[0])
            helper = _Helper()
            while len(length := incoming.read(_LENGTH.size)) == _LENGTH.size:
                commands = marshal.loads(incoming.read(_LENGTH.unpack(length)[0]))
                results = []
                for number, command in enumerate(commands):
                    for attempt in range(2):
                        CURRENT.pack_into(shared, 0, number, attempt)
                        _pause(shared)
                        result = helper.do(command)
                        # A directory that the kernel has elsewhere cannot be moved: then it is done with another.
                        if result != errno.ESTALE:
                            break
                    results.append(result)
                CURRENT.pack_into(shared, 0, -1, 0)
                answer = marshal.dumps(results)
                connection.sendall(_LENGTH.pack(len(answer)) + answer)


if __name__ == "__main__":
    main()
