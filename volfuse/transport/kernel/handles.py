"""Handles: files and directories that programs have open, by number.

A file is opened in the source once for all who only read it, and once more for each who writes, but for who made it:
the kernel writes itself, and where the daemon has to, it opens the file then. With the first handle a file is
registered with the kernel, so that reads and writes are passed through. When the last handle goes, the file stays open
and registered for a moment (`expire`), so that opening it again and again costs no system call. What stays is open for
reading only, which keeps nobody from executing or writing the file.

Two threads, one in RELEASE and one in OPEN, must not disagree on whether a backing id still lives: handles come and go
under one lock, and an id goes with the last handle. Under the lock there is no system call, which might hang.
"""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass
from typing import Final

from volfuse.fs import files as fs_files
from volfuse.fs.descriptors import self_path
from volfuse.transport.kernel.mounts import MountState
from volfuse.transport.kernel.nodes import Directory, DirectoryNode, Fd, File, Handle, OpenFile, RootFd
from volfuse.transport.kernel.passthrough import Passthrough
from volfuse.transport.kernel.wire.flags import FOPEN

__all__ = ["Handles", "OpenDirectory"]

_PASSTHROUGH, _DIRECT = int(FOPEN.PASSTHROUGH), int(FOPEN.DIRECT_IO)
_KEEP_CACHE = int(FOPEN.KEEP_CACHE)
_READING: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_SET_ID = 0o6000


@dataclass(slots=True)
class OpenDirectory:
    """One open directory.

    Attributes:
        fd: of the source; -1 for a directory that only the view has, and while there is a `holder`.
        holder: descriptor to open it by when it is read: the kernel may have kept its listing.
        position: offset in the source that the next reading is at, if it is read as a stream.
        listing: encoded once where the view adds names; None elsewhere.
    """

    node: DirectoryNode
    fd: int = -1
    holder: Fd | RootFd | None = None
    position: int = 0
    listing: list[tuple[bytes, int, int]] | None = None


class Handles:
    """All handles of one session.

    Args:
        idle_limit: how many files stay open without a handle, at most.
    """

    def __init__(self, passthrough: Passthrough, idle_limit: int) -> None:
        self._passthrough = passthrough
        self._idle_limit = idle_limit
        self._lock = threading.Lock()
        self.files: dict[int, Handle] = {}  # changed under self._lock
        self.directories: dict[int, OpenDirectory] = {}  # changed under self._lock
        self._idle: dict[File, int] = {}  # with the turn in which it came to rest; guarded by self._lock
        self._turn = 0  # guarded by self._lock
        self._next = 1  # guarded by self._lock

    def __len__(self) -> int:
        return len(self.files) + len(self.directories)

    def file(self, number: int) -> Handle:
        """Return an open file; EBADF if there is none."""
        try:
            return self.files[number]
        except KeyError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None

    def directory(self, number: int) -> OpenDirectory:
        """Return an open directory, which can be read now; EBADF if there is none."""
        try:
            opened = self.directories[number]
        except KeyError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
        if (holder := opened.holder) is not None:
            self._open_directory(opened, holder)
        return opened

    def share(self, node: File, flags: int) -> Handle | None:
        """Give a handle for reading of a file that is open for reading already; None if it is not."""
        with self._lock:
            opened = node.opened
            if opened is None or opened.fd < 0:
                return None
            return self._enter(opened, node, flags, opened.fd)

    def needs_no_writer(self, mount: MountState, directory: Directory) -> bool:
        """Say whether who makes a file needs no descriptor for writing: the kernel opens the file and writes itself."""
        return mount.local and self._passthrough.wanted(mount) and mount.on_own_device(directory.key)

    def add_file(self, node: File, flags: int, fd: int, *, reading: bool) -> Handle:
        """Keep a file that was opened with `flags`; takes the descriptor, also when it fails.

        Args:
            reading: the descriptor is open for reading only, whatever `flags` say.
        """
        prepared = None
        if node.opened is None:
            try:
                prepared = self._prepare(node, fd, reading)
            except OSError:
                os.close(fd)
                raise
        with self._lock:
            opened = node.opened
            if opened is None:
                opened = node.opened = prepared or OpenFile(-1)
                prepared = None
            if reading and opened.fd < 0:
                opened.fd = fd
            handle = self._enter(opened, node, flags, fd)
        if prepared is not None:  # another thread was faster
            if prepared.fd == fd:
                prepared.fd = -1
            self._close(prepared)
        return handle

    def open_flags(self, handle: Handle, mode: int) -> int:
        """Return the open_flags of the reply that gives a handle out.

        All handles of a node are passed through, or none: the kernel refuses what is mixed (fs/fuse/iomode.c).

        Args:
            mode: of the file.
        """
        opened = handle.node.opened
        if opened is not None and opened.backing:
            # Writing to a file with set-id bits goes through here, since passed through they would stay.
            return _PASSTHROUGH | (_DIRECT if mode & _SET_ID and handle.writes else 0)
        return _KEEP_CACHE if handle.node.mount.private else _DIRECT

    def backing(self, handle: Handle) -> int:
        """Return the backing id of the reply that gives a handle out, 0 without passthrough."""
        opened = handle.node.opened
        return opened.backing if opened is not None else 0

    def own_descriptor(self, handle: Handle) -> None:
        """Give a handle a descriptor that no other has, open as the caller asked: to write, or to lock by flock(2)."""
        if handle.shared:
            handle.fd = fs_files.open_fd_at(handle.node.mount.mount, handle.fd, b"", handle.flags & ~os.O_TRUNC)
            handle.shared = False

    def release_file(self, number: int) -> Handle:
        """Close an open file."""
        closing = None
        with self._lock:
            try:
                handle = self.files.pop(number)
            except KeyError:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
            node = handle.node
            opened = node.opened
            assert opened is not None
            del opened.handles[number]
            if not opened.handles:
                closing = self._rest(node, opened)
        if not handle.shared:
            os.close(handle.fd)
        if closing is not None:
            self._close(closing)
        return handle

    def forget(self, node: File) -> None:
        """Close what is still open of a node that the kernel has forgotten."""
        with self._lock:
            closing = self._take(node) if self._idle.pop(node, None) is not None else None
        if closing is not None:
            self._close(closing)

    def expire(self) -> bool:
        """Close files that have been without a handle since the last call; say whether others still are."""
        if not self._idle:
            return False
        with self._lock:
            nodes = [node for node, turn in self._idle.items() if turn != self._turn]
            for node in nodes:
                del self._idle[node]
            closing = [opened for node in nodes if (opened := self._take(node)) is not None]
            self._turn += 1
        for opened in closing:
            self._close(opened)
        return bool(self._idle)

    def writable(self, node: File, number: int | None) -> int | None:
        """Return a descriptor of a file that is open for writing: handle `number`, or another of the node."""
        opened = node.opened
        wanted = list(opened.handles) if opened is not None else []
        for candidate in [number] if number is not None else wanted:
            handle = self.files.get(candidate)
            if handle is not None and handle.writes:
                self.own_descriptor(handle)
                return handle.fd
        return None

    def add_directory(self, opened: OpenDirectory) -> int:
        """Keep an open directory; return its number."""
        with self._lock:
            number = self._next
            self._next += 1
            self.directories[number] = opened
        return number

    def _open_directory(self, opened: OpenDirectory, holder: Fd | RootFd) -> None:
        fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=holder.fd)
        with self._lock:
            if opened.holder is not None:
                opened.fd, opened.holder = fd, None
                return
        os.close(fd)  # another thread was faster

    def release_directory(self, number: int) -> None:
        """Close an open directory."""
        with self._lock:
            opened = self.directories.pop(number, None)
        if opened is not None and opened.fd >= 0:
            os.close(opened.fd)

    def close_all(self) -> int:
        """Close what is left after the session's end; return how many handles."""
        with self._lock:
            files, self.files = self.files, {}
            directories, self.directories = self.directories, {}
            left = {handle.node: handle.node.opened for handle in files.values()}
            left |= {node: node.opened for node in self._idle}
            self._idle.clear()
        for handle in files.values():
            if not handle.shared:
                os.close(handle.fd)
        for node, opened in left.items():
            node.opened = None
            if opened is not None and opened.fd >= 0:
                os.close(opened.fd)
        for directory in directories.values():
            if directory.fd >= 0:
                os.close(directory.fd)
        return len(files) + len(directories)

    def _prepare(self, node: File, fd: int, reading: bool) -> OpenFile:
        """Register a file with the kernel where its mount allows that."""
        passes = self._passthrough.wanted(node.mount)
        if not reading:
            # Not the writer's own descriptor: the kernel keeps what is registered open as long as any handle, and open
            # for writing it would stop exec(2) all that time (ETXTBSY).
            fd = _reading(fd) if passes else -1
        prepared = OpenFile(fd)
        if passes and fd >= 0:
            try:
                prepared.backing = self._passthrough.register(node.mount, fd)
            except OSError:
                if not reading:
                    os.close(fd)
                raise
        return prepared

    def _close(self, opened: OpenFile) -> None:
        if opened.backing:
            self._passthrough.unregister(opened.backing)
        if opened.fd >= 0:
            try:
                os.close(opened.fd)
            except OSError:  # a network file system tells of an old failure, which was another's
                return

    # Called with the lock held.

    def _enter(self, opened: OpenFile, node: File, flags: int, fd: int) -> Handle:
        number = self._next
        self._next = number + 1
        handle = Handle(number, node, flags, fd, fd == opened.fd)
        if not opened.handles:
            self._idle.pop(node, None)
        opened.handles[number] = handle
        self.files[number] = handle
        return handle

    def _rest(self, node: File, opened: OpenFile) -> OpenFile | None:
        """Keep a file open for a moment after its last handle; return what is to be closed in its stead."""
        if opened.fd < 0 or not self._idle_limit:
            return self._take(node)
        self._idle[node] = self._turn
        if len(self._idle) <= self._idle_limit:
            return None
        oldest = next(iter(self._idle))
        del self._idle[oldest]
        return self._take(oldest)

    def _take(self, node: File) -> OpenFile | None:
        opened, node.opened = node.opened, None
        return opened


def _reading(fd: int) -> int:
    """Open for reading what `fd` is open for; -1 where the daemon may not, as on a server that trusts no root."""
    try:
        return os.open(self_path(fd), _READING)
    except PermissionError:
        return -1
