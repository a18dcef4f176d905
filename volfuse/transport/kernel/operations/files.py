"""CREATE, TMPFILE, OPEN, RELEASE, FLUSH, FSYNC: the life of an open file."""

# ruff: noqa: ARG002 (handlers have one signature)
from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from volfuse.fs import files as fs_files
from volfuse.fs.descriptors import Caller
from volfuse.fs.files import FileHandle
from volfuse.sys.credentials import acting_as
from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.locks import Locks
from volfuse.transport.kernel.nodes import File
from volfuse.transport.kernel.places import stale
from volfuse.transport.kernel.rules import check_absent
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.flags import FOPEN, FUSE_FSYNC_FDATASYNC, FUSE_RELEASE_FLOCK_UNLOCK
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.replies import CREATE_REPLY, OPEN_REPLY, error
from volfuse.transport.kernel.wire.requests import HEADER_SIZE, name_at

__all__ = ["Files"]

_OPEN_IN = LAYOUTS["fuse_open_in"].struct
_CREATE_IN = LAYOUTS["fuse_create_in"].struct
_RELEASE_IN = LAYOUTS["fuse_release_in"].struct
_FLUSH_IN = LAYOUTS["fuse_flush_in"].struct
_FSYNC_IN = LAYOUTS["fuse_fsync_in"].struct
_WRITES = os.O_WRONLY | os.O_RDWR
_NOFLUSH = int(FOPEN.NOFLUSH)
"""No request at close(2). What is open for reading has nothing to report then, and of locks only a read lock."""
_O_TMPFILE = getattr(os, "O_TMPFILE", 0o20200000)


class Files:
    """Opening and closing."""

    def __init__(self, server: Server, handles: Handles, locks: Locks) -> None:
        self._server = server
        self._handles = handles
        self._locks = locks

    def handlers(self) -> Mapping[Opcode, Handler]:
        """Return the handlers of this theme."""
        return {
            Opcode.OPEN: self.open,
            Opcode.CREATE: self.create,
            Opcode.TMPFILE: self.tmpfile,
            Opcode.RELEASE: self.release,
            Opcode.FLUSH: self.flush,
            Opcode.FSYNC: self.fsync,
        }

    def open(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Open a file in the source with the caller's own flags: that checks the right to write and copies it up."""
        flags, _ = _OPEN_IN.unpack_from(reader.buffer, HEADER_SIZE)
        node = self._server.nodes.file(nodeid)
        file = self._open(reader, node, flags)
        open_flags, backing = self._handles.add_file(node, file)
        if not flags & _WRITES and not self._locks.held(file):
            open_flags |= _NOFLUSH
        return OPEN_REPLY.pack(OPEN_REPLY.size, 0, unique, file.fd, open_flags, backing)

    def create(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Create and open a file that belongs to the caller."""
        flags, mode, umask, _ = _CREATE_IN.unpack_from(reader.buffer, HEADER_SIZE)
        name = name_at(reader.buffer, HEADER_SIZE + _CREATE_IN.size, end)
        server = self._server
        parent = server.nodes.directory_node(nodeid)
        check_absent(parent, name)
        holder = server.holder(reader, parent)
        _, _, _, _, uid, gid, pid, _ = reader.header
        os.umask(umask)
        file = fs_files.create_at(parent.mount.mount, holder.fd, name, flags, mode, Caller(uid, gid, pid))
        found = reader.statx.at(file.fd, b"")
        directory = parent.directory
        assert directory is not None
        entry = server.entry(parent, directory, name, found, new=True)
        server.changed(directory, nodeid)
        return self._created(unique, entry, file)

    def tmpfile(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Create and open a file without a name."""
        flags, mode, umask, _ = _CREATE_IN.unpack_from(reader.buffer, HEADER_SIZE)
        server = self._server
        parent = server.nodes.directory_node(nodeid)
        parent.mount.mount.check_writable()
        holder = server.holder(reader, parent)
        _, _, _, _, uid, gid, _, _ = reader.header
        os.umask(umask)
        wanted = flags & (os.O_ACCMODE | os.O_APPEND | os.O_EXCL) | _O_TMPFILE | os.O_CLOEXEC
        with acting_as(uid, gid):
            fd = os.open(b".", wanted, mode & 0o7777, dir_fd=holder.fd)
        file = FileHandle(fd, parent.mount.mount, flags, os.fstat(fd))
        directory = parent.directory
        assert directory is not None
        entry = server.entry(parent, directory, b"", reader.statx.at(fd, b""), new=True)
        server.nodes.file(entry[0]).parent = None
        return self._created(unique, entry, file)

    def release(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Close an open file; its locks go with it."""
        handle, _, flags, _ = _RELEASE_IN.unpack_from(reader.buffer, HEADER_SIZE)
        self._locks.release_handle(self._handles.file(handle).file, flocked=flags & FUSE_RELEASE_FLOCK_UNLOCK != 0)
        self._handles.release_file(handle)
        self._locks.retry()
        return error(unique, 0)

    def flush(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """One descriptor of an open file was closed: the process's record locks on the file end."""
        handle, owner = _FLUSH_IN.unpack_from(reader.buffer, HEADER_SIZE)
        file = self._handles.file(handle).file
        self._locks.release_owner(file, owner)
        fs_files.flush(file)
        return error(unique, 0)

    def fsync(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Write an open file to disk."""
        handle, flags = _FSYNC_IN.unpack_from(reader.buffer, HEADER_SIZE)
        fd = self._handles.file(handle).file.fd
        reader.hand_over()
        fs_files.fsync(fd, data_only=bool(flags & FUSE_FSYNC_FDATASYNC))
        return error(unique, 0)

    def _created(self, unique: int, entry: tuple[int, ...], file: FileHandle) -> bytes:
        try:
            open_flags, backing = self._handles.add_file(self._server.nodes.file(entry[0]), file)
        except OSError:
            self._server.nodes.forget(entry[0], 1)
            raise
        return CREATE_REPLY.pack(CREATE_REPLY.size, 0, unique, *entry, file.fd, open_flags, backing)

    def _open(self, reader: Reader, node: File, flags: int) -> FileHandle:
        """Open a node's file: by its place, or by an open handle where it has lost its name."""
        server = self._server
        mount = node.mount.mount
        if flags & os.O_TRUNC:
            mount.check_writable()
        try:
            holder = server.directories.around(node, reader.statx)
            file = fs_files.open_at(mount, holder.fd, node.name, flags & ~os.O_TRUNC)
        except OSError as exc:
            if exc.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE, errno.EISDIR):
                raise
            return self._reopen(reader, node, flags, exc)
        if not _same(node.key, file.status):
            os.close(file.fd)
            return self._reopen(reader, node, flags, None)
        if flags & os.O_TRUNC:
            try:
                fs_files.truncate_fd(file.fd, 0)
            except OSError:
                os.close(file.fd)
                raise
        return file

    def _reopen(self, reader: Reader, node: File, flags: int, cause: OSError | None) -> FileHandle:
        if node.opened is None:
            raise stale() from cause
        pinned = self._server.directories.pin(node, reader.statx)
        return fs_files.open_at(node.mount.mount, pinned.fd, b"", flags)


def _same(key: int, status: os.stat_result) -> bool:
    """Say whether an opened file has the inode and device of a key; while it is open no other can have them."""
    low = status.st_ino | stat.S_IFREG >> 12 << 64
    device = status.st_dev
    low |= os.minor(device) << 72 | os.major(device) << 96
    return key & ((1 << 68) - 1) == low & ((1 << 68) - 1) and (key ^ low) >> 72 & ((1 << 56) - 1) == 0
