"""Handles: files and directories that programs have open, by number.

A file's number is its descriptor. Opening and releasing a file's handles, and its backing id with them, happen under
one lock: two threads, one in RELEASE and one in OPEN, must not disagree on whether the id still lives.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from dataclasses import dataclass
from typing import NamedTuple

from volfuse.fs.files import FileHandle
from volfuse.transport.kernel.nodes import DirectoryNode, File, OpenFile
from volfuse.transport.kernel.passthrough import Passthrough
from volfuse.transport.kernel.wire.flags import FOPEN

__all__ = ["Handles", "OpenDirectory", "OpenedFile"]

_PASSTHROUGH, _DIRECT = int(FOPEN.PASSTHROUGH), int(FOPEN.DIRECT_IO)
_KEEP_CACHE = int(FOPEN.KEEP_CACHE)


class OpenedFile(NamedTuple):
    """One open file: the node and the handle in the source."""

    node: File
    file: FileHandle


@dataclass(slots=True)
class OpenDirectory:
    """One open directory.

    Attributes:
        fd: of the source; -1 for a directory that only the view has.
        position: offset in the source that the next reading is at, if it is read as a stream.
        listing: encoded once where the view adds names; None elsewhere.
    """

    node: DirectoryNode
    fd: int
    position: int = 0
    listing: list[tuple[bytes, int, int]] | None = None


class Handles:
    """All handles of one session."""

    def __init__(self, passthrough: Passthrough) -> None:
        self._passthrough = passthrough
        self._lock = threading.Lock()
        self.files: dict[int, OpenedFile] = {}  # changed under self._lock
        self.directories: dict[int, OpenDirectory] = {}  # changed under self._lock
        self._next_directory = 1  # guarded by self._lock

    def __len__(self) -> int:
        return len(self.files) + len(self.directories)

    def file(self, number: int) -> OpenedFile:
        """Return an open file; EBADF if there is none."""
        try:
            return self.files[number]
        except KeyError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None

    def directory(self, number: int) -> OpenDirectory:
        """Return an open directory; EBADF if there is none."""
        try:
            return self.directories[number]
        except KeyError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None

    def add_file(self, node: File, file: FileHandle) -> tuple[int, int]:
        """Keep an open file, whose descriptor is taken; return open_flags and backing id for the reply.

        All handles of a node are passed through, or none: the kernel refuses what is mixed (fs/fuse/iomode.c).
        """
        mount = node.mount
        with self._lock:
            opened = node.opened
            if opened is None:
                opened = OpenFile()
                try:
                    opened.backing = self._passthrough.register(mount, file)
                except OSError:
                    os.close(file.fd)
                    raise
            opened.handles[file.fd] = file.fd
            node.opened = opened
            self.files[file.fd] = OpenedFile(node, file)
        writes = file.flags & os.O_ACCMODE != os.O_RDONLY
        if opened.backing:
            # Writing to a file with set-id bits goes through here, since passed through they would stay.
            direct = _DIRECT if writes and file.status.st_mode & 0o6000 else 0
            return _PASSTHROUGH | direct, opened.backing
        return (_KEEP_CACHE if mount.private else _DIRECT), 0

    def release_file(self, number: int) -> OpenedFile:
        """Close an open file; with its last handle the node's backing id."""
        with self._lock:
            try:
                opened = self.files.pop(number)
            except KeyError:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
            state = opened.node.opened
            assert state is not None
            del state.handles[number]
            if not state.handles:
                opened.node.opened = None
                if state.backing:
                    self._passthrough.unregister(state.backing)
        os.close(number)
        return opened

    def writable(self, node: File, number: int | None) -> int | None:
        """Return a descriptor of a file that is open for writing: handle `number`, or another of the node."""
        wanted = node.opened.handles if node.opened is not None else {}
        for candidate in [number] if number is not None else list(wanted):
            opened = self.files.get(candidate)
            if opened is not None and opened.file.flags & os.O_ACCMODE != os.O_RDONLY:
                return opened.file.fd
        return None

    def add_directory(self, opened: OpenDirectory) -> int:
        """Keep an open directory; return its number."""
        with self._lock:
            number = self._next_directory
            self._next_directory += 1
            self.directories[number] = opened
        return number

    def release_directory(self, number: int) -> None:
        """Close an open directory."""
        with self._lock:
            opened = self.directories.pop(number, None)
        if opened is not None and opened.fd >= 0:
            os.close(opened.fd)

    def close_all(self) -> int:
        """Close what is left after the session's end; return how many."""
        with self._lock:
            files, self.files = self.files, {}
            directories, self.directories = self.directories, {}
        for opened in files.values():
            opened.node.opened = None
            with contextlib.suppress(OSError):
                os.close(opened.file.fd)
        for directory in directories.values():
            if directory.fd >= 0:
                os.close(directory.fd)
        return len(files) + len(directories)
