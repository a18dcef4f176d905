"""MKNOD, MKDIR, SYMLINK, LINK, UNLINK, RMDIR, RENAME, RENAME2, READLINK: names made, moved and removed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping

from volfuse.core.feed import ChangeKind
from volfuse.core.leases import Change
from volfuse.fs import directories as fs_directories
from volfuse.fs import files as fs_files
from volfuse.fs import links as fs_links
from volfuse.fs.descriptors import Caller, self_path
from volfuse.fs.view import Mount
from volfuse.sys.rename import RENAME_EXCHANGE, RENAME_NOREPLACE
from volfuse.transport.kernel.nodes import Directory, DirectoryNode, File
from volfuse.transport.kernel.rules import (
    check_absent,
    check_renamable,
    check_rmdir,
    check_source,
    check_target,
    check_unlink,
)
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.encoding import error, reply
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.replies import decode_device
from volfuse.transport.kernel.wire.requests import HEADER_SIZE

__all__ = ["Names"]

_CREATE, _MKDIR, _LINK, _SYMLINK = ChangeKind.CREATE, ChangeKind.MKDIR, ChangeKind.LINK, ChangeKind.SYMLINK
_DELETE, _RMDIR = ChangeKind.DELETE, ChangeKind.RMDIR
_MKNOD_IN = LAYOUTS["fuse_mknod_in"].struct
_MKDIR_IN = LAYOUTS["fuse_mkdir_in"].struct
_LINK_IN = LAYOUTS["fuse_link_in"].struct
_RENAME_IN = LAYOUTS["fuse_rename_in"].struct
_RENAME2_IN = LAYOUTS["fuse_rename2_in"].struct


class Names:
    """Directory entries."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def handlers(self) -> Mapping[Opcode, Handler]:
        """Return the handlers of this theme."""
        return {
            Opcode.READLINK: self.readlink,
            Opcode.SYMLINK: self.symlink,
            Opcode.MKNOD: self.mknod,
            Opcode.MKDIR: self.mkdir,
            Opcode.LINK: self.link,
            Opcode.UNLINK: self.unlink,
            Opcode.RMDIR: self.rmdir,
            Opcode.RENAME: self.rename,
            Opcode.RENAME2: self.rename2,
        }

    def readlink(self, reader: Reader) -> bytes:
        """Answer with what a link holds."""
        server = self._server
        pinned = server.pin(reader, server.nodes.file(reader.nodeid))
        return reply(reader.unique, fs_links.readlink_at(pinned.fd, b""))

    def symlink(self, reader: Reader) -> bytes:
        """Make a symbolic link that belongs to the caller."""
        name, target = reader.name_and_value(HEADER_SIZE)
        parent, directory, dirfd, holder = self._writable(reader, name)
        fs_links.symlink_at(parent.mount.mount, dirfd, name, target, _caller(reader))
        del holder
        self._server.feed.entry(reader, _SYMLINK, parent, name, target)
        return self._made(reader, parent, directory, name)

    def mknod(self, reader: Reader) -> bytes:
        """Make a FIFO, socket, device or empty file that belongs to the caller."""
        mode, device, umask = _MKNOD_IN.unpack_from(reader.buffer, HEADER_SIZE)
        name = reader.name(HEADER_SIZE + _MKNOD_IN.size)
        parent, directory, dirfd, holder = self._writable(reader, name)
        reader.set_umask(umask & 0o777)
        number = os.makedev(*decode_device(device))
        fs_files.mknod_at(parent.mount.mount, dirfd, name, mode, number, _caller(reader))
        del holder
        self._server.feed.entry(reader, _CREATE, parent, name)
        return self._made(reader, parent, directory, name)

    def mkdir(self, reader: Reader) -> bytes:
        """Make a directory that belongs to the caller."""
        mode, umask = _MKDIR_IN.unpack_from(reader.buffer, HEADER_SIZE)
        name = reader.name(HEADER_SIZE + _MKDIR_IN.size)
        parent, directory, dirfd, holder = self._writable(reader, name)
        reader.set_umask(umask & 0o777)
        fs_directories.mkdir_at(parent.mount.mount, dirfd, name, mode, _caller(reader))
        del holder
        self._server.feed.entry(reader, _MKDIR, parent, name)
        return self._made(reader, parent, directory, name)

    def link(self, reader: Reader) -> bytes:
        """Give a file another name."""
        (old_id,) = _LINK_IN.unpack_from(reader.buffer, HEADER_SIZE)
        name = reader.name(HEADER_SIZE + _LINK_IN.size)
        server = self._server
        node = server.nodes.file(old_id)
        parent = server.nodes.directory_node(reader.nodeid)
        self._check_one_mount(node, parent, name)
        parent, directory, dirfd, holder = self._writable(reader, name)
        parent.mount.mount.check_writable()
        self._link(reader, node, dirfd, name)
        del holder
        server.feed.entry(reader, _LINK, parent, name)
        return self._made(reader, parent, directory, name, new=False)

    def unlink(self, reader: Reader) -> bytes:
        """Remove a name that is no directory."""
        name = reader.name(HEADER_SIZE)
        server = self._server
        parent = server.nodes.directory_node(reader.nodeid)
        check_unlink(parent, name)
        self._remove(reader, parent, name, fs_links.unlink_at, _DELETE)
        return error(reader.unique, 0)

    def rmdir(self, reader: Reader) -> bytes:
        """Remove an empty directory."""
        name = reader.name(HEADER_SIZE)
        server = self._server
        parent = server.nodes.directory_node(reader.nodeid)
        check_rmdir(parent, name)
        self._remove(reader, parent, name, fs_links.rmdir_at, _RMDIR)
        return error(reader.unique, 0)

    def rename(self, reader: Reader) -> bytes:
        """Rename without flags."""
        (new_id,) = _RENAME_IN.unpack_from(reader.buffer, HEADER_SIZE)
        old, new = reader.names(HEADER_SIZE + _RENAME_IN.size)
        return self._rename(reader, old, new_id, new, 0)

    def rename2(self, reader: Reader) -> bytes:
        """Rename with RENAME_NOREPLACE or RENAME_EXCHANGE."""
        new_id, flags = _RENAME2_IN.unpack_from(reader.buffer, HEADER_SIZE)
        if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        old, new = reader.names(HEADER_SIZE + _RENAME2_IN.size)
        return self._rename(reader, old, new_id, new, flags)

    def _rename(self, reader: Reader, old: bytes, new_id: int, new: bytes, flags: int) -> bytes:
        server = self._server
        old_id = reader.nodeid
        old_parent = server.nodes.directory_node(old_id)
        new_parent = server.nodes.directory_node(new_id)
        check_source(old_parent, old)
        check_target(new_parent, new)
        if old_parent.mount is not new_parent.mount:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), old)
        check_renamable(old_parent, old)
        check_renamable(new_parent, new)
        old_holder = server.holder(reader, old_parent)
        new_holder = server.holder(reader, new_parent)
        change = self._may_rename(reader, old_parent, old, new_parent, new)
        moved = []
        try:
            fs_links.rename_at(old_parent.mount.mount, old_holder.fd, old, new_holder.fd, new, flags)
            exchange = flags & RENAME_EXCHANGE != 0
            server.feed.moved(reader, old_parent, old, new_parent, new, b"exchange" if exchange else b"")
            moved = [(0, 1, self._moved(reader, new_parent, new_holder.fd, new))]
            if exchange:
                moved.append((1, 0, self._moved(reader, old_parent, old_holder.fd, old)))
        finally:
            if change is not None:
                server.leasing.finish(change, (), moved)
        server.changed(old_parent.directory, old_id)
        if new_parent is not old_parent:
            server.changed(new_parent.directory, new_id)
        return error(reader.unique, 0)

    def _may_rename(
        self, reader: Reader, old_parent: DirectoryNode, old: bytes, new_parent: DirectoryNode, new: bytes
    ) -> Change | None:
        old_directory, new_directory = old_parent.directory, new_parent.directory
        assert old_directory is not None
        assert new_directory is not None
        if not old_directory.leased and not new_directory.leased:
            return None
        names = (old_directory, old_parent.id, old), (new_directory, new_parent.id, new)
        return self._server.leasing.begin(reader, names)

    def _remove(
        self,
        reader: Reader,
        parent: DirectoryNode,
        name: bytes,
        remove: Callable[[Mount, int, bytes], None],
        kind: ChangeKind,
    ) -> None:
        server = self._server
        holder = server.holder(reader, parent)
        directory = parent.directory
        assert directory is not None
        change = server.leasing.begin(reader, ((directory, parent.id, name),)) if directory.leased else None
        removed: tuple[int, ...] = ()
        try:
            remove(parent.mount.mount, holder.fd, name)
            removed = (0,)
        finally:
            if change is not None:
                server.leasing.finish(change, removed)
        server.feed.entry(reader, kind, parent, name)
        server.changed(directory, parent.id)

    def _moved(self, reader: Reader, parent: DirectoryNode, dirfd: int, name: bytes) -> bytes:
        """Keep the place of what has just been given a name true, in all views; return its key."""
        try:
            found = reader.statx.at(dirfd, name)
        except OSError:  # gone or moved on already: whoever asks for the node finds that out (ESTALE)
            return b""
        key = parent.mount.key(found)
        directory = parent.directory
        moved: Directory | File | None
        if found.is_directory:
            moved = self._server.nodes.find_directory(key)
            if moved is not None:
                self._server.changed(moved, 0)
        else:
            moved = self._server.nodes.find_file(key)
        if moved is not None:
            with self._server.nodes.lock:
                moved.parent = directory
                moved.name = name
        return key

    def _writable(self, reader: Reader, name: bytes) -> tuple[DirectoryNode, Directory, int, object]:
        """Return node, directory and descriptor to make a name in; keep the last value while using the descriptor."""
        parent = self._server.nodes.directory_node(reader.nodeid)
        check_absent(parent, name)
        holder = self._server.holder(reader, parent)
        directory = parent.directory
        assert directory is not None
        return parent, directory, holder.fd, holder

    def _made(
        self, reader: Reader, parent: DirectoryNode, directory: Directory, name: bytes, new: bool = True
    ) -> bytes:
        server = self._server
        holder = server.holder(reader, parent)
        version = server.version(parent, directory, holder)
        entry = server.entry(parent, directory, name, reader.statx.at(holder.fd, name), new, version)
        server.changed(directory, parent.id)
        return reply(reader.unique, entry)

    def _check_one_mount(self, node: File, parent: DirectoryNode, name: bytes) -> None:
        """Raise EXDEV unless the file lies in the mount that gets the new name.

        A file's node is shared by the views; the look-up that came just before says which mount it was named in. That
        may have been another view's by now, whose mount of the same source is as good.
        """
        if node.mount is parent.mount:
            return
        own = parent.view is not None and node.mount.mount in parent.view.mounts
        if own or node.mount.source is not parent.mount.source:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)

    def _link(self, reader: Reader, node: File, dirfd: int, name: bytes) -> None:
        server = self._server
        if node.opened is not None:  # also a file of O_TMPFILE, which has no name yet
            fd = node.opened.any_fd()
            if fd >= 0:
                os.link(self_path(fd), name, dst_dir_fd=dirfd, follow_symlinks=True)
                return
        pinned = server.pin(reader, node)
        os.link(self_path(pinned.fd), name, dst_dir_fd=dirfd, follow_symlinks=True)


def _caller(reader: Reader) -> Caller:
    return Caller(reader.uid, reader.gid, reader.pid)
