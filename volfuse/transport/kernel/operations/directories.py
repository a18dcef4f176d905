"""OPENDIR, READDIR, READDIRPLUS, RELEASEDIR, FSYNCDIR: listings.

A directory of a source is read as a stream with the source's own offsets. One that the view adds names to is listed at
its beginning and kept until it is read from the beginning again.
"""

# ruff: noqa: ARG002 (handlers have one signature)
from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Final

from volfuse.fs import directories as fs_directories
from volfuse.fs.inodes import ROOT_INODE
from volfuse.sys.getdents import DirectoryStream
from volfuse.transport.kernel.handles import Handles, OpenDirectory
from volfuse.transport.kernel.nodes import DirectoryNode
from volfuse.transport.kernel.server import EntryFields, Server
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.flags import FUSE_FSYNC_FDATASYNC
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.replies import NO_ENTRY_ATTR, OPEN_REPLY, dirent, dirent_plus, error, payload
from volfuse.transport.kernel.wire.requests import HEADER_SIZE

__all__ = ["Directories"]

_READ_IN = LAYOUTS["fuse_read_in"].struct
_RELEASE_IN = LAYOUTS["fuse_release_in"].struct
_FSYNC_IN = LAYOUTS["fuse_fsync_in"].struct
_NO_NODE: Final[EntryFields] = (0, 0, 0, 0, 0, 0, *NO_ENTRY_ATTR)
_LONGEST_BYTES = 280
_PLUS_BYTES = LAYOUTS["fuse_entry_out"].size
_DT_DIR = 4


class Directories:
    """Open directories and what they list."""

    def __init__(self, server: Server, handles: Handles) -> None:
        self._server = server
        self._handles = handles

    def handlers(self) -> Mapping[Opcode, Handler]:
        """Return the handlers of this theme."""
        return {
            Opcode.OPENDIR: self.opendir,
            Opcode.READDIR: self.readdir,
            Opcode.READDIRPLUS: self.readdirplus,
            Opcode.RELEASEDIR: self.releasedir,
            Opcode.FSYNCDIR: self.fsyncdir,
        }

    def opendir(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Open a directory."""
        server = self._server
        node = server.nodes.directory_node(nodeid)
        fd = -1
        if node.directory is not None:
            holder = server.holder(reader, node)
            fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=holder.fd)
        number = self._handles.add_directory(OpenDirectory(node, fd))
        return OPEN_REPLY.pack(OPEN_REPLY.size, 0, unique, number, 0, 0)

    def readdir(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Answer with names."""
        handle, offset, size, _, _, _ = _READ_IN.unpack_from(reader.buffer, HEADER_SIZE)
        opened = self._handles.directory(handle)
        # A FUSE entry is at most a third longer than the source's.
        entries = self._entries(opened, offset, size, size * 3 // 4)
        number = self._numbers(reader, opened)
        parts, room = [], size
        for inode, after, kind, name in entries:
            part = dirent(number(inode, name), after, kind, name)
            room -= len(part)
            if room < 0:
                break
            parts.append(part)
            opened.position = after
        return payload(unique, b"".join(parts))

    def readdirplus(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Answer with names and, in a private tree, the nodes behind them.

        A name of a shared source is asked for again when it is used, so its node would be given for nothing.
        """
        handle, offset, size, _, _, _ = _READ_IN.unpack_from(reader.buffer, HEADER_SIZE)
        opened = self._handles.directory(handle)
        entries = self._entries(opened, offset, size, max(size * 24 // (_PLUS_BYTES + 32), _LONGEST_BYTES))
        number = self._numbers(reader, opened)
        private = opened.node.mount.private and opened.node.view is not None
        parts, room = [], size
        for inode, after, kind, name in entries:
            room -= _PLUS_BYTES + 24 + (len(name) + 7 & ~7)
            if room < 0:
                break
            given = self._node(reader, opened.node, name) if private and name not in (b".", b"..") else _NO_NODE
            shown = given[6] if given[0] else number(inode, name)
            parts.append(dirent_plus(given, shown, after, kind, name))
            opened.position = after
        return payload(unique, b"".join(parts))

    def releasedir(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Close an open directory."""
        self._handles.release_directory(_RELEASE_IN.unpack_from(reader.buffer, HEADER_SIZE)[0])
        return error(unique, 0)

    def fsyncdir(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Write a directory to disk."""
        handle, flags = _FSYNC_IN.unpack_from(reader.buffer, HEADER_SIZE)
        opened = self._handles.directory(handle)
        reader.hand_over()
        if opened.fd >= 0:
            (os.fdatasync if flags & FUSE_FSYNC_FDATASYNC else os.fsync)(opened.fd)
        return error(unique, 0)

    def _entries(
        self, opened: OpenDirectory, offset: int, size: int, stream_bytes: int
    ) -> list[tuple[int, int, int, bytes]]:
        """Return entries from `offset`: inode in the source, offset after it, type, name."""
        node = opened.node
        if node.directory is not None and node.own is None:
            if offset != opened.position:
                os.lseek(opened.fd, offset, os.SEEK_SET)
                opened.position = offset
            stream = DirectoryStream(max(stream_bytes, _LONGEST_BYTES))
            found = stream.read(opened.fd, stream_bytes)
            if found:
                # What does not fit into the reply is read again: the next request's offset is then another.
                opened.position = -1
            return found
        if offset == 0 or opened.listing is None:
            opened.listing = self._listing(opened)
        last = min(len(opened.listing), offset + size // 24)
        return [
            (inode, index + 1, kind, name)
            for index, (name, inode, kind) in enumerate(opened.listing[offset:last], start=offset)
        ]

    def _listing(self, opened: OpenDirectory) -> list[tuple[bytes, int, int]]:
        node = opened.node
        if node.view is None:
            names = self._server.views.table.names()
            dots = [(b".", ROOT_INODE, _DT_DIR), (b"..", ROOT_INODE, _DT_DIR)]
            return dots + [(name, 0xFFFFFFFF, _DT_DIR) for name in names]
        if opened.fd >= 0:
            os.lseek(opened.fd, 0, os.SEEK_SET)
        source = fs_directories.DirectoryHandle(node.view, node.mount.mount, node.path or b"", opened.fd)
        return [(entry.name, entry.inode, entry.mode >> 12) for entry in source.entries()]

    def _numbers(self, reader: Reader, opened: OpenDirectory) -> _Numbers:
        return _Numbers(self._server, reader, opened)

    def _node(self, reader: Reader, parent: DirectoryNode, name: bytes) -> EntryFields:
        """Return the node of a name, counted; none if it is gone by now."""
        try:
            return self._server.entry_at(reader, parent, name)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ESTALE, errno.EIO):
                return _NO_NODE
            raise


class _Numbers:
    """The inode numbers that a listing shows."""

    __slots__ = ("_device", "_mount", "_parent", "_raw")

    def __init__(self, server: Server, reader: Reader, opened: OpenDirectory) -> None:
        node = opened.node
        self._raw = node.directory is None or node.own is not None
        self._mount = node.mount
        self._parent = 0
        self._device = (0, 0)
        if self._raw:
            return
        found = reader.statx.at(opened.fd, b"")
        self._device = found[21], found[22]
        if node.path is not None and node.parent is not None:
            # Above a mount's root is another mount.
            above, synthetic, mount = server.getattr(reader, node.parent)
            if above is not None:
                self._parent = mount.inode(above[21], above[22], above[7])
            elif synthetic is not None:
                self._parent = synthetic.inode

    def __call__(self, inode: int, name: bytes) -> int:
        if self._raw:
            return inode
        if self._parent and name == b"..":
            return self._parent
        return self._mount.inode(*self._device, inode)
