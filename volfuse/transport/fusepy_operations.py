"""The callbacks of libfuse's high-level interface, translated to operations of `fs`.

Each method serves the operation of its name in struct fuse_operations: it gets bytes and addresses, and returns 0 or a
count, or raises what becomes a negative errno. `nopath` is set, so what has a handle gets no path and libfuse locks
none: a slow read or a wait for a lock holds up nobody else.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import itertools
import os
import stat
import threading
import time
from collections.abc import Callable

from volfuse.core.feed import ChangeKind
from volfuse.fs import attributes, files, paths, xattrs
from volfuse.fs.descriptors import Parent, Pinned
from volfuse.fs.directories import Entry, fsync_directory
from volfuse.fs.files import FileHandle
from volfuse.fs.handles import HandleTable
from volfuse.fs.inodes import ROOT_INODE
from volfuse.fs.locks import LockTable
from volfuse.fs.view import Place
from volfuse.fs.viewtable import ViewTable
from volfuse.sys.filelock import RawFlock, RecordLock
from volfuse.sys.utimens import OMIT, Timespec
from volfuse.transport.base import Failures
from volfuse.transport.fusepy_feed import FusepyFeed
from volfuse.transport.fusepy_ghosts import GhostTable, caller_renames
from volfuse.transport.fusepy_library import (
    FILLER,
    SIGNATURES,
    FileInfo,
    OpenFile,
    caller,
    entry_stat,
    fill_stat,
    fill_statvfs,
)
from volfuse.transport.fusepy_renames import Renames

__all__ = ["FusepyOperations"]

_ROOT = b"/"
_ROOT_DIRECTORY = 0
"""Handle of the list of all views."""

_CHANGING = frozenset(
    {
        "chmod", "chown", "create", "fallocate", "ftruncate", "link", "mkdir", "mknod", "open", "release",
        "removexattr", "rename", "rmdir", "setxattr", "symlink", "truncate", "unlink", "utimens", "write",
    }
)  # fmt: skip
_SETTLE_STEP_S = 0.0001

_NO_FIGURES = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
"""Of the list of all views: it has no space of its own."""


class FusepyOperations:
    """Serves a table of views.

    Attributes:
        ready: set when the kernel has been answered for the first time.
        failures: unexpected exceptions.
    """

    def __init__(self, table: ViewTable) -> None:
        self.ready = threading.Event()
        self.failures = Failures()
        self.handles = HandleTable()
        self.locks = LockTable()
        self.ghosts = GhostTable()
        self.renames = Renames()
        self.feed = FusepyFeed(table.changes)
        self._under_way: set[int] = set()
        self._hanging: set[int] = set()  # changes that `settle` has waited for long enough
        self._table = table
        self._locate = table.locate
        self._locate_entry = table.locate_entry

    def callbacks(self) -> dict[str, Callable[..., int]]:
        """Return a function for each operation that answers exceptions with an errno."""
        return {name: self._guarded(name, getattr(self, name)) for name in SIGNATURES}

    def close_all(self) -> int:
        """Close every handle, lock and ghost; return how many handles were open."""
        self.locks.close_all()
        self.ghosts.drop_all()
        return self.handles.close_all()

    def _guarded(self, name: str, operation: Callable[..., int | None]) -> Callable[..., int]:
        errno_of = self.failures.errno_of
        if name in _CHANGING:
            operation = self._counted(operation)

        def answer(*arguments: object) -> int:
            try:
                return operation(*arguments) or 0
            except Exception as exc:  # noqa: BLE001 (the request's edge)
                return -errno_of(name, exc)

        return answer

    def _counted(self, operation: Callable[..., int | None]) -> Callable[..., int | None]:
        """Note while a change is being made (`settle`)."""
        numbers, under_way = itertools.count(), self._under_way

        def counted(*arguments: object) -> int | None:
            number = next(numbers)
            under_way.add(number)
            try:
                return operation(*arguments)
            finally:
                under_way.discard(number)

        return counted

    def settle(self, deadline_s: float) -> None:
        """Wait until the changes that are being made now are done and published. For one thread."""
        deadline = time.monotonic() + deadline_s
        wanted = set(self._under_way)
        hanging = self._hanging & wanted
        while waiting := (wanted & self._under_way) - hanging:
            if time.monotonic() >= deadline:
                hanging |= waiting
                break
            time.sleep(_SETTLE_STEP_S)
        self._hanging = hanging

    # Attributes

    def getattr(self, path: bytes, target: int) -> None:
        """Serve LOOKUP and GETATTR."""
        if path == _ROOT:
            fill_stat(target, self._table.attributes())
            return
        if self.renames.under_way and (seen := self.renames.getattr(path)) is not None:
            fill_stat(target, seen)
            return
        ghost = self.ghosts.get(path)
        if ghost is None:
            fill_stat(target, paths.getattr(self._locate(path[1:])))
            return
        found = attributes.getattr_fd(ghost.mount, ghost.fd)
        # libfuse takes one link off a file that it has renamed to hide it; here that link is gone already.
        fill_stat(target, found, extra_links=1 if found.status.st_nlink else 0)

    def fgetattr(self, _path: bytes | None, target: int, info: int) -> None:
        """Serve GETATTR of an open file, where the kernel sends its handle."""
        number = FileInfo.from_address(info).fh
        fill_stat(target, attributes.getattr_fd(self.handles.file(number).mount, number))

    def access(self, path: bytes, mask: int) -> None:
        """Serve ACCESS, which the kernel does not send with default_permissions."""
        if path != _ROOT and self.ghosts.get(path) is None:
            paths.access(self._locate(path[1:]), mask)

    def chmod(self, path: bytes, mode: int) -> None:
        """Serve SETATTR of the mode."""
        ghost = self.ghosts.get(path)
        if ghost is None:
            place = self._locate(_below_root(path))
            paths.chmod(place, mode)
            self.feed.change(caller(), ChangeKind.ATTRIB, place, b"mode")
        else:
            attributes.chmod_at(ghost.mount, ghost.fd, b"", mode)

    def chown(self, path: bytes, uid: int, gid: int) -> None:
        """Serve SETATTR of the owner; 2^32-1 leaves one as it is."""
        ghost = self.ghosts.get(path)
        if ghost is None:
            place = self._locate(_below_root(path))
            paths.chown(place, _signed(uid), _signed(gid))
            self.feed.change(caller(), ChangeKind.ATTRIB, place, b"owner")
        else:
            attributes.chown_at(ghost.mount, ghost.fd, b"", _signed(uid), _signed(gid))

    def utimens(self, path: bytes, times: int) -> None:
        """Serve SETATTR of the times: two struct timespec."""
        seconds = (ctypes.c_long * 4).from_address(times)
        atime, mtime = (seconds[0], seconds[1]), (seconds[2], seconds[3])
        ghost = self.ghosts.get(path)
        if ghost is None:
            place = self._locate(_below_root(path))
            paths.utimens(place, atime, mtime)
            self.feed.change(caller(), ChangeKind.ATTRIB, place, _times(atime, mtime))
        else:
            attributes.utimens_at(ghost.mount, ghost.fd, b"", atime, mtime)

    def statfs(self, path: bytes, target: int) -> None:
        """Serve STATFS."""
        if path == _ROOT:
            fill_statvfs(target, _NO_FIGURES)
            return
        ghost = self.ghosts.get(path)
        figures = paths.statfs(self._locate(path[1:])) if ghost is None else attributes.statfs_at(ghost.fd, b"")
        fill_statvfs(target, figures)

    # Extended attributes

    def getxattr(self, path: bytes, name: bytes, target: int | None, size: int) -> int:
        """Serve GETXATTR."""
        if path == _ROOT:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        ghost = self.ghosts.get(path)
        value = (
            paths.getxattr(self._locate(path[1:]), name) if ghost is None else xattrs.getxattr_at(ghost.fd, b"", name)
        )
        return _copy_out(value, target, size)

    def listxattr(self, path: bytes, target: int | None, size: int) -> int:
        """Serve LISTXATTR."""
        if path == _ROOT:
            return 0
        ghost = self.ghosts.get(path)
        names = paths.listxattr(self._locate(path[1:])) if ghost is None else xattrs.listxattr_at(ghost.fd, b"")
        return _copy_out(b"".join(name + b"\0" for name in names), target, size)

    def setxattr(self, path: bytes, name: bytes, value: int, size: int, flags: int) -> None:
        """Serve SETXATTR."""
        ghost = self.ghosts.get(path)
        content = ctypes.string_at(value, size)
        if ghost is None:
            place = self._locate(_below_root(path))
            paths.setxattr(place, name, content, flags)
            self.feed.change(caller(), ChangeKind.XATTR, place, name)
        else:
            xattrs.setxattr_at(ghost.mount, ghost.fd, b"", name, content, flags)

    def removexattr(self, path: bytes, name: bytes) -> None:
        """Serve REMOVEXATTR."""
        ghost = self.ghosts.get(path)
        if ghost is None:
            place = self._locate(_below_root(path))
            paths.removexattr(place, name)
            self.feed.change(caller(), ChangeKind.XATTR, place, name)
        else:
            xattrs.removexattr_at(ghost.mount, ghost.fd, b"", name)

    # Names

    def readlink(self, path: bytes, target: int, size: int) -> None:
        """Serve READLINK: a string that ends in a zero byte, cut to `size`."""
        content = paths.readlink(self._locate(path[1:]))[: size - 1] + b"\0"
        ctypes.memmove(target, content, len(content))

    def mknod(self, path: bytes, mode: int, device: int) -> None:
        """Serve MKNOD of anything but regular files, for which libfuse calls `create`."""
        entry = self._locate_entry(path[1:])
        paths.mknod(entry, mode, device, caller())
        self.feed.change(caller(), ChangeKind.CREATE, entry)

    def mkdir(self, path: bytes, mode: int) -> None:
        """Serve MKDIR."""
        entry = self._locate_entry(path[1:])
        paths.mkdir(entry, mode, caller())
        self.feed.change(caller(), ChangeKind.MKDIR, entry)

    def symlink(self, target: bytes, path: bytes) -> None:
        """Serve SYMLINK."""
        entry = self._locate_entry(path[1:])
        paths.symlink(entry, target, caller())
        self.feed.change(caller(), ChangeKind.SYMLINK, entry, target)

    def link(self, path: bytes, new: bytes) -> None:
        """Serve LINK. An unlinked file stays so, as on Linux."""
        if self.ghosts.get(path) is not None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        entry = self._locate_entry(new[1:])
        paths.link(self._locate(path[1:]), entry)
        self.feed.change(caller(), ChangeKind.LINK, entry)

    def unlink(self, path: bytes) -> None:
        """Serve UNLINK, and the end of a ghost."""
        if self.ghosts.get(path) is None:
            self._unlink(self._locate_entry(path[1:]))
        else:
            self.ghosts.drop(path)

    def rmdir(self, path: bytes) -> None:
        """Serve RMDIR."""
        entry = self._locate_entry(path[1:])
        paths.rmdir(entry)
        self.feed.change(caller(), ChangeKind.RMDIR, entry)

    def rename(self, old: bytes, new: bytes) -> None:
        """Serve RENAME, and libfuse's hiding of open files (`fusepy_ghosts`)."""
        if self.renames.under_way and self.renames.is_ours(old, new):
            return
        if not (self.ghosts.is_hiding(old, new) and self._hide(old, new)):
            old_entry, new_entry = self._locate_entry(old[1:]), self._locate_entry(new[1:])
            paths.rename(old_entry, new_entry)
            self.feed.moved(caller(), old_entry, new_entry)

    def _unlink(self, entry: Place) -> None:
        paths.unlink(entry)
        self.feed.change(caller(), ChangeKind.DELETE, entry)

    def _hide(self, path: bytes, hidden: bytes) -> bool:
        """Make a ghost of an open file; return False if it is not open, so that the rename is a program's own."""
        entry = self._locate_entry(path[1:])
        paths.check_removable(entry)
        with Parent(entry.mount.source.fd, entry.rel) as (dirfd, name), Pinned(dirfd, name) as fd:
            status = os.fstat(fd)
            if not self.handles.has_open((status.st_dev, status.st_ino)):
                return False
            self.ghosts.add(hidden, entry.mount, os.dup(fd))
        if caller_renames(caller().pid):
            return True
        try:
            self._unlink(entry)
        except OSError:
            self.ghosts.drop(hidden)
            raise
        return True

    # Files

    def create(self, path: bytes, mode: int, info: int) -> None:
        """Serve CREATE."""
        file = FileInfo.from_address(info)
        entry = self._locate_entry(path[1:])
        self._opened(file, paths.create(entry, file.flags, mode, caller()))
        self.feed.change(caller(), ChangeKind.CREATE, entry)

    def open(self, path: bytes, info: int) -> None:
        """Serve OPEN."""
        file = FileInfo.from_address(info)
        ghost = self.ghosts.get(path)
        if ghost is None:
            place = self._locate(path[1:])
            self._opened(file, paths.open_file(place, file.flags))
            if file.flags & os.O_TRUNC:
                self.feed.change(caller(), ChangeKind.TRUNCATE, place, size=0)
        else:
            self._opened(file, files.open_at(ghost.mount, ghost.fd, b"", file.flags))

    def _opened(self, file: OpenFile, handle: FileHandle) -> None:
        # Each path is an inode of its own to libfuse. What can be changed by another path (another view, the host, a
        # hard link) must not be cached by the kernel; a private file with one name may be, until it is opened anew.
        file.direct_io = not (handle.mount.private and handle.status.st_nlink == 1)
        file.fh = self.handles.add_file(handle)
        self.feed.opened(caller(), handle)

    def read(self, _path: bytes | None, target: int, size: int, offset: int, info: int) -> int:
        """Serve READ, straight into the reply's memory."""
        return files.read_into(FileInfo.from_address(info).fh, _memory(target, size), offset)

    def write(self, _path: bytes | None, data: int, size: int, offset: int, info: int) -> int:
        """Serve WRITE, straight from the request's memory."""
        number = FileInfo.from_address(info).fh
        written = files.write(number, _memory(data, size), offset, caller())
        self.feed.wrote(number, written)
        return written

    def truncate(self, path: bytes, size: int) -> None:
        """Serve SETATTR of the size, of a file that is not open."""
        ghost = self.ghosts.get(path)
        if ghost is None:
            place = self._locate(_below_root(path))
            paths.truncate(place, size)
            self.feed.change(caller(), ChangeKind.TRUNCATE, place, size=size)
        else:
            files.truncate_at(ghost.mount, ghost.fd, b"", size)

    def ftruncate(self, _path: bytes | None, size: int, info: int) -> None:
        """Serve SETATTR of the size by handle."""
        number = FileInfo.from_address(info).fh
        files.truncate_fd(number, size)
        self.feed.resized(caller(), self.handles.file(number), size)

    def fallocate(self, _path: bytes | None, mode: int, offset: int, length: int, info: int) -> None:
        """Serve FALLOCATE."""
        number = FileInfo.from_address(info).fh
        files.allocate(number, mode, offset, length, caller())
        self.feed.wrote(number, 0)

    def fsync(self, _path: bytes | None, data_only: int, info: int) -> None:
        """Serve FSYNC."""
        files.fsync(FileInfo.from_address(info).fh, data_only=bool(data_only))

    def flush(self, _path: bytes | None, info: int) -> None:
        """Serve FLUSH, which comes with each close(2) of a descriptor: the closer's record locks end."""
        file = FileInfo.from_address(info)
        handle = self.handles.file(file.fh)
        self.locks.release_owner(handle, file.lock_owner)
        self.feed.closing(handle, last=False)
        if handle.flags & os.O_ACCMODE != os.O_RDONLY:
            files.flush(handle.fd)

    def release(self, _path: bytes | None, info: int) -> None:
        """Serve RELEASE, which comes once for each open."""
        number = FileInfo.from_address(info).fh
        self.locks.release_handle(self.handles.file(number))
        handle = self.handles.file(number)
        places = self.feed.places(handle)
        self.feed.closing(handle, last=True)
        self.handles.close_file(number)
        self.feed.closed(places, handle)
        if len(self.ghosts) and not self.handles.has_open(handle.identity):
            self.ghosts.drop_file(handle.identity)

    # Locks

    def lock(self, _path: bytes | None, info: int, command: int, target: int) -> None:
        """Serve GETLK, SETLK and SETLKW of record locks."""
        file = FileInfo.from_address(info)
        raw = RawFlock.from_address(target)
        wanted = RecordLock(raw.l_type, raw.l_start, raw.l_len)
        handle = self.handles.file(file.fh)
        if command != fcntl.F_GETLK:
            self.locks.set(handle, file.lock_owner, wanted, wait=command == fcntl.F_SETLKW)
            return
        found = self.locks.get(handle, file.lock_owner, wanted)
        raw.l_type, raw.l_start, raw.l_len, raw.l_pid = found.kind, found.start, found.length, found.pid

    def flock(self, _path: bytes | None, info: int, operation: int) -> None:
        """Serve SETLK and SETLKW of flock(2)."""
        self.locks.flock(self.handles.file(FileInfo.from_address(info).fh), operation)

    # Directories

    def opendir(self, path: bytes, info: int) -> None:
        """Serve OPENDIR."""
        if path == _ROOT:
            FileInfo.from_address(info).fh = _ROOT_DIRECTORY
        else:
            handle = paths.open_directory(self._locate(path[1:]))
            FileInfo.from_address(info).fh = self.handles.add_directory(handle)

    def readdir(self, _path: bytes | None, buffer: int, filler: int, _offset: int, info: int) -> None:
        """Serve READDIR: libfuse keeps all entries until the directory is rewound."""
        number = FileInfo.from_address(info).fh
        entries = self._views() if number == _ROOT_DIRECTORY else self.handles.directory(number).entries()
        fill = FILLER(filler)
        for name, inode, mode in entries:
            if fill(buffer, name, entry_stat(inode, mode), 0):
                return

    def _views(self) -> list[Entry]:
        found = [Entry(name, ROOT_INODE, stat.S_IFDIR) for name in (b".", b"..")]
        for name in self._table.names():
            view = self._table.get(name)
            if view is not None:
                found.append(Entry(name, view.root_inode(), stat.S_IFDIR))
        return found

    def releasedir(self, _path: bytes | None, info: int) -> None:
        """Serve RELEASEDIR."""
        number = FileInfo.from_address(info).fh
        if number != _ROOT_DIRECTORY:
            self.handles.close_directory(number)

    def fsyncdir(self, _path: bytes | None, data_only: int, info: int) -> None:
        """Serve FSYNCDIR."""
        number = FileInfo.from_address(info).fh
        if number != _ROOT_DIRECTORY:
            fsync_directory(self.handles.directory(number), data_only=bool(data_only))

    def init(self, _connection: int) -> None:
        """Serve INIT, the first request."""
        self.ready.set()


def _below_root(path: bytes) -> bytes:
    """Return a path without its slash; EPERM for the list of views, which only containers change."""
    if path == _ROOT:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)
    return path[1:]


def _times(atime: Timespec, mtime: Timespec) -> bytes:
    """Return which times were set, as the feed tells it."""
    return b"mtime" if atime == OMIT else b"atime" if mtime == OMIT else b"times"


def _signed(identifier: int) -> int:
    return -1 if identifier == 0xFFFFFFFF else identifier


def _memory(address: int, size: int) -> memoryview:
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B")


def _copy_out(value: bytes, target: int | None, size: int) -> int:
    """Answer a request for a value or, without a target, for its length."""
    if target:
        if len(value) > size:
            raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
        ctypes.memmove(target, value, len(value))
    return len(value)
