"""Open files and directories.

A handle's number is its descriptor in this process, so reading and writing need no table.
"""

from __future__ import annotations

import os
import threading

from volfuse.fs.directories import DirectoryHandle
from volfuse.fs.files import FileHandle

__all__ = ["HandleTable"]


class HandleTable:
    """All handles of one transport, counted, so that none is left open after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[int, FileHandle] = {}  # guarded by self._lock
        self._directories: dict[int, DirectoryHandle] = {}  # guarded by self._lock
        self._next_directory = 1  # guarded by self._lock

    def __len__(self) -> int:
        return len(self._files) + len(self._directories)

    def add_file(self, handle: FileHandle) -> int:
        """Keep an open file; return its number."""
        with self._lock:
            self._files[handle.fd] = handle
        return handle.fd

    def file(self, number: int) -> FileHandle:
        """Return an open file."""
        return self._files[number]

    def close_file(self, number: int) -> FileHandle:
        """Close an open file; return what it was."""
        with self._lock:
            handle = self._files.pop(number)
        os.close(handle.fd)
        return handle

    def has_open(self, identity: tuple[int, int]) -> bool:
        """Say whether a file (device and inode number in the source) is open.

        Asks the descriptors: on an overlay of several file systems, copy-up changes the numbers of an open file.
        """
        with self._lock:
            return any(_identity(os.fstat(fd)) == identity for fd in self._files)

    def add_directory(self, handle: DirectoryHandle) -> int:
        """Keep an open directory; return its number."""
        with self._lock:
            number = self._next_directory
            self._next_directory += 1
            self._directories[number] = handle
        return number

    def directory(self, number: int) -> DirectoryHandle:
        """Return an open directory."""
        return self._directories[number]

    def close_directory(self, number: int) -> None:
        """Close an open directory."""
        with self._lock:
            handle = self._directories.pop(number)
        handle.close()

    def close_all(self) -> int:
        """Close what is left after the transport's end; return how many."""
        with self._lock:
            files, self._files = self._files, {}
            directories, self._directories = self._directories, {}
        for file in files.values():
            os.close(file.fd)
        for directory in directories.values():
            directory.close()
        return len(files) + len(directories)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
