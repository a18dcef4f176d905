"""CREATE, TMPFILE, OPEN, RELEASE, FLUSH, FSYNC: the life of an open file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from volfuse.core.feed import ChangeKind
from volfuse.fs import files as fs_files
from volfuse.fs.descriptors import Caller, self_path
from volfuse.sys.credentials import acting_as
from volfuse.sys.raw import u32, u64
from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.locks import Locks
from volfuse.transport.kernel.mounts import NAME_AND_TICK, MountState
from volfuse.transport.kernel.nodes import Directory, DirectoryNode, Fd, File, Handle, RootFd
from volfuse.transport.kernel.places import stale
from volfuse.transport.kernel.rules import check_absent
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.encoding import encode_entry, error, reply
from volfuse.transport.kernel.wire.flags import FOPEN, FUSE_FSYNC_FDATASYNC
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.requests import HEADER_SIZE

__all__ = ["Files"]

_CREATE, _TRUNCATE = ChangeKind.CREATE, ChangeKind.TRUNCATE
_OPEN_OUT = LAYOUTS["fuse_open_out"].struct
_CREATE_IN = LAYOUTS["fuse_create_in"].struct
_FLUSH_IN = LAYOUTS["fuse_flush_in"].struct
_FSYNC_IN = LAYOUTS["fuse_fsync_in"].struct
_WRITES = os.O_WRONLY | os.O_RDWR
_CHANGES = _WRITES | os.O_TRUNC
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE, errno.EISDIR})
_NOFLUSH = int(FOPEN.NOFLUSH)
"""No request at close(2). What is open for reading has nothing to report then, and of locks only a read lock."""
_ALL_FLAGS = 0x7FFFFFFF
"""Flags are an int in open(2); only a broken request has the sign bit."""
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

    def open(self, reader: Reader) -> bytes:
        """Open a file in the source with the caller's own flags: that checks the right to write and copies it up."""
        flags = u32(reader.buffer, HEADER_SIZE) & _ALL_FLAGS
        node = self._server.nodes.file(reader.nodeid)
        self._server.feed.asked.add(reader.pid)
        handle = None if flags & _CHANGES else self._handles.share(node, flags)
        if handle is None:
            fd = self._open(reader, node, flags)
            handle = self._handles.add_file(node, flags, fd, reading=not flags & _WRITES)
        open_flags = self._handles.open_flags(handle, reader.statx.mode)
        if flags & _WRITES:
            node.mappable = node.mappable or flags & os.O_ACCMODE == os.O_RDWR
            if node.mount.leases or node.lasting:
                self._server.leasing.drop_file(node)
        if flags & _CHANGES:
            self._changes(reader, handle, self._server.feed.mount_of(reader, node))
        if not flags & _WRITES and not self._locks.held(handle):
            open_flags |= _NOFLUSH
        return reply(reader.unique, _OPEN_OUT.pack(handle.number, open_flags, self._handles.backing(handle)))

    def create(self, reader: Reader) -> bytes:
        """Create and open a file that belongs to the caller."""
        flags, mode, umask, _ = _CREATE_IN.unpack_from(reader.buffer, HEADER_SIZE)
        flags &= _ALL_FLAGS
        name = reader.name(HEADER_SIZE + _CREATE_IN.size)
        server = self._server
        parent = server.nodes.directory_node(reader.nodeid)
        check_absent(parent, name)
        holder = server.holder(reader, parent)
        reader.set_umask(umask & 0o777)
        caller = Caller(reader.uid, reader.gid, reader.pid)
        directory = parent.directory
        assert directory is not None
        reading = self._handles.needs_no_writer(parent.mount, directory)
        wanted = flags & os.O_EXCL if reading else flags
        try:
            fd = fs_files.create_fd_at(parent.mount.mount, holder.fd, name, wanted, mode, caller)
        except OSError as exc:
            if exc.errno != errno.ESTALE:
                raise
            return self._too_late(reader, parent, directory, name, flags, holder)
        server.feed.entry(reader, _CREATE, parent, name)
        server.changed(directory, reader.nodeid)
        return self._created(reader, parent, directory, name, flags, fd, reading)

    def tmpfile(self, reader: Reader) -> bytes:
        """Create and open a file without a name."""
        flags, mode, umask, _ = _CREATE_IN.unpack_from(reader.buffer, HEADER_SIZE)
        flags &= _ALL_FLAGS
        server = self._server
        parent = server.nodes.directory_node(reader.nodeid)
        parent.mount.mount.check_writable()
        holder = server.holder(reader, parent)
        reader.set_umask(umask & 0o777)
        wanted = flags & (os.O_ACCMODE | os.O_APPEND | os.O_EXCL) | _O_TMPFILE | os.O_CLOEXEC
        with acting_as(reader.uid, reader.gid):
            fd = os.open(b".", wanted, mode & 0o7777, dir_fd=holder.fd)
        directory = parent.directory
        assert directory is not None
        return self._created(reader, parent, directory, b"", flags, fd, False)

    def release(self, reader: Reader) -> bytes:
        """Close an open file; its locks go with it."""
        number = u64(reader.buffer, HEADER_SIZE)
        handle = self._handles.file(number)
        if handle.opener is not None:
            self._server.writers.closing(handle, reader.statx)
        opened = handle.node.opened
        self._handles.release_file(number)
        if handle.opener is not None and opened is not None:
            self._server.writers.closed(handle, opened)
        self._locks.release_handle(handle)
        return error(reader.unique, 0)

    def flush(self, reader: Reader) -> bytes:
        """One descriptor of an open file was closed: the process's record locks on the file end."""
        handle, owner = _FLUSH_IN.unpack_from(reader.buffer, HEADER_SIZE)
        file = self._handles.file(handle)
        self._locks.release_owner(file, owner)
        node = file.node
        if file.writes and not (node.mount.local and node.mount.on_own_device(node.key)):
            fs_files.flush(file.fd)
        return error(reader.unique, 0)

    def fsync(self, reader: Reader) -> bytes:
        """Write an open file to disk."""
        handle, flags = _FSYNC_IN.unpack_from(reader.buffer, HEADER_SIZE)
        fd = self._handles.file(handle).fd
        reader.hand_over()
        fs_files.fsync(fd, data_only=bool(flags & FUSE_FSYNC_FDATASYNC))
        return error(reader.unique, 0)

    def _too_late(
        self, reader: Reader, parent: DirectoryNode, directory: Directory, name: bytes, flags: int, holder: Fd | RootFd
    ) -> bytes:
        """Have the kernel try again to make a file, since there is one by now; the second time open that.

        The kernel takes it for made and does not ask whether the caller may open it, so it is opened as the caller.
        """
        misses = self._server.misses
        if reader.pid not in misses.late:
            misses.missed(reader.pid)
            raise stale()
        with acting_as(reader.uid, reader.gid):
            fd = os.open(name, flags & ~(os.O_CREAT | os.O_DIRECT) | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=holder.fd)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise stale()
        return self._created(reader, parent, directory, name, flags, fd, not flags & _WRITES, False)

    def _created(
        self,
        reader: Reader,
        parent: DirectoryNode,
        directory: Directory,
        name: bytes,
        flags: int,
        fd: int,
        reading: bool,
        new: bool = True,
    ) -> bytes:
        """Answer with the node and the handle of a file that has just been made, or found instead."""
        server, handles, mount = self._server, self._handles, parent.mount
        version = server.leasing.version()
        try:
            found = reader.statx.at(fd, b"")
        except OSError:
            os.close(fd)
            raise
        key = mount.key(found)
        node = server.nodes.give_file(key, mount, directory if name else None, name, new)
        node.mappable = node.mappable or flags & os.O_ACCMODE == os.O_RDWR
        timeouts = node.timeouts
        leased = mount.leases and name and directory.watch is not None
        if leased and server.leasing.grant(None, directory, parent.id, name, key, version):
            timeouts = NAME_AND_TICK
        entry = encode_entry(node.id, timeouts.entry, mount.inode(found), found.buffer)
        try:
            handle = handles.add_file(node, flags, fd, reading=reading)
        except OSError:
            server.forget(node.id, 1)
            raise
        open_flags = handles.open_flags(handle, found.mode)
        if handle.writes and not mount.private:
            server.writers.opened(handle, mount, reader)
        return reply(reader.unique, entry + _OPEN_OUT.pack(handle.number, open_flags, handles.backing(handle)))

    def _changes(self, reader: Reader, handle: Handle, mount: MountState) -> None:
        """Publish that a file of a shared source was opened and truncated, note that it may be written."""
        if mount.private:
            return
        if handle.flags & os.O_TRUNC:
            self._server.feed.file(reader, _TRUNCATE, handle.node, mount, -1, 0)
            reader.statx.at(handle.fd, b"")
        if handle.writes:
            self._server.writers.opened(handle, mount, reader)

    def _open(self, reader: Reader, node: File, flags: int) -> int:
        """Open a node's file: by its place, or by an open handle where it has lost its name.

        Its attributes are in the reader's `statx` then.
        """
        server = self._server
        mount = node.mount.mount
        if flags & os.O_TRUNC:
            mount.check_writable()
        try:
            holder = server.directories.around(node, reader.statx)
            fd = fs_files.open_fd_at(mount, holder.fd, node.name, flags & ~os.O_TRUNC)
        except OSError as exc:
            if exc.errno not in _GONE:
                raise
            return self._reopen(reader, node, flags)
        try:
            if node.mount.key(reader.statx.at(fd, b"")) == node.key:
                if flags & os.O_TRUNC:
                    os.truncate(self_path(fd), 0)  # by path, since the caller may have opened it for reading
                return fd
        except OSError:
            os.close(fd)
            raise
        os.close(fd)
        return self._reopen(reader, node, flags)

    def _reopen(self, reader: Reader, node: File, flags: int) -> int:
        pinned = self._server.pin(reader, node)
        return fs_files.open_fd_at(node.mount.mount, pinned.fd, b"", flags)
