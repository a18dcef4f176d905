"""OPENDIR, READDIR, READDIRPLUS, RELEASEDIR, FSYNCDIR: listings.

A directory of a source is read as a stream with the source's own offsets. One that the view adds names to is listed at
its beginning and kept until it is read from the beginning again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Final

from volfuse.fs import directories as fs_directories
from volfuse.fs.inodes import ROOT_INODE
from volfuse.sys.getdents import DIRENT_HEAD, DIRENT_NAME_AT
from volfuse.sys.statx import Statx
from volfuse.transport.kernel.handles import Handles, OpenDirectory
from volfuse.transport.kernel.nodes import DirectoryNode, Fd, RootFd
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.encoding import ENTRY_BYTES, encode_dirents, error, reply
from volfuse.transport.kernel.wire.flags import FOPEN, FUSE_FSYNC_FDATASYNC
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.replies import dirent
from volfuse.transport.kernel.wire.requests import HEADER_SIZE

__all__ = ["Directories"]

_READ_IN = LAYOUTS["fuse_read_in"].struct
_RELEASE_IN = LAYOUTS["fuse_release_in"].struct
_FSYNC_IN = LAYOUTS["fuse_fsync_in"].struct
_OPEN_OUT = LAYOUTS["fuse_open_out"].struct
_LONGEST_BYTES = 280
_SHORTEST_BYTES = 24
_DOTS = (b".", b"..")
_NOTHING: Final = bytes(ENTRY_BYTES)
"""fuse_entry_out of an entry of READDIRPLUS that gives no node."""
_INODE_AT = LAYOUTS["fuse_entry_out"].offsets()["attr.ino"]
_DT_DIR = 4
_CACHED = int(FOPEN.CACHE_DIR | FOPEN.KEEP_CACHE)
"""Listings of private trees stay in the kernel, which drops them itself when the view changes the directory."""


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

    def opendir(self, reader: Reader) -> bytes:
        """Open a directory."""
        server = self._server
        node = server.nodes.directory_node(reader.nodeid)
        server.feed.asked.add(reader.pid)
        holder = server.holder(reader, node) if node.directory is not None else None
        number = self._handles.add_directory(OpenDirectory(node, holder=holder))
        flags = _CACHED if self._may_be_kept(node, holder) else 0
        return reply(reader.unique, _OPEN_OUT.pack(number, flags, 0))

    def _may_be_kept(self, node: DirectoryNode, holder: Fd | RootFd | None) -> bool:
        """Say whether the kernel may keep a listing.

        That of a shared directory it keeps for as long as the modification time is the same, which it asks for again
        once its attributes have been dropped.
        """
        mount = node.mount
        if mount.private or node.directory is None or holder is None:
            return mount.private and node.view is not None
        if not mount.leases or node.own is not None:
            return False
        return self._server.leasing.watch(mount, node.directory, holder.fd) and mount.fine_times

    def readdir(self, reader: Reader) -> bytes:
        """Answer with names."""
        handle, offset, size, _, _, _ = _READ_IN.unpack_from(reader.buffer, HEADER_SIZE)
        opened = self._handles.directory(handle)
        if _is_stream(opened):
            # A FUSE entry is at most a third longer than the source's.
            return reply(reader.unique, self._stream(reader, opened, offset, size * 3 // 4, b""))
        parts, room = [], size
        for name, inode, kind in self._listing(opened, offset):
            offset += 1
            part = dirent(inode, offset, kind, name)
            room -= len(part)
            if room < 0:
                break
            parts.append(part)
        return reply(reader.unique, b"".join(parts))

    def readdirplus(self, reader: Reader) -> bytes:
        """Answer with names and, where they may be kept, the nodes behind them.

        Another name is asked for again when it is used, so its node would be given for nothing.
        """
        handle, offset, size, _, _, _ = _READ_IN.unpack_from(reader.buffer, HEADER_SIZE)
        opened = self._handles.directory(handle)
        if _is_stream(opened):
            stream_bytes = max(size * _SHORTEST_BYTES // (ENTRY_BYTES + _SHORTEST_BYTES + 8), _LONGEST_BYTES)
            if opened.node.mount.private or opened.node.mount.leases:
                return reply(reader.unique, self._stream_nodes(reader, opened, offset, stream_bytes))
            return reply(reader.unique, self._stream(reader, opened, offset, stream_bytes, _NOTHING))
        parts, room = [], size
        for name, inode, kind in self._listing(opened, offset):
            offset += 1
            room -= ENTRY_BYTES + 24 + (len(name) + 7 & ~7)
            if room < 0:
                break
            parts.append(_NOTHING + dirent(inode, offset, kind, name))
        return reply(reader.unique, b"".join(parts))

    def releasedir(self, reader: Reader) -> bytes:
        """Close an open directory."""
        self._handles.release_directory(_RELEASE_IN.unpack_from(reader.buffer, HEADER_SIZE)[0])
        return error(reader.unique, 0)

    def fsyncdir(self, reader: Reader) -> bytes:
        """Write a directory to disk."""
        handle, flags = _FSYNC_IN.unpack_from(reader.buffer, HEADER_SIZE)
        opened = self._handles.directory(handle)
        reader.hand_over()
        if opened.fd >= 0:
            (os.fdatasync if flags & FUSE_FSYNC_FDATASYNC else os.fsync)(opened.fd)
        return error(reader.unique, 0)

    def _stream(self, reader: Reader, opened: OpenDirectory, offset: int, size: int, prefix: bytes) -> bytes:
        """Turn the source's next entries into the kernel's, each after `prefix`."""
        directory = opened.node.directory
        changed = b""
        if offset == 0 and directory is not None:
            key = directory.key, size, len(prefix)
            found = reader.statx.at(opened.fd, b"")
            if found.major:  # on a block device: other clocks may be wrong
                changed = found.changed()
            kept = self._server.listings.get(key, changed)
            if kept is not None:
                opened.position = -1
                return kept
        length = _fill(reader, opened, offset, size)
        if not length:
            return b""
        buffer = reader.stream.buffer
        number = self._numbers(reader, opened)
        if number is not None:
            _renumber(buffer, length, number)
        entries, opened.position = encode_dirents(buffer, length, prefix)
        if changed and number is None:
            self._server.listings.keep(key, changed, entries)
        return entries

    def _stream_nodes(self, reader: Reader, opened: OpenDirectory, offset: int, size: int) -> bytes:
        """Turn the source's next entries into the kernel's, with a node for each."""
        length = _fill(reader, opened, offset, size)
        number = self._numbers(reader, opened)
        buffer, at, parts = reader.stream.buffer, 0, []
        while at < length:
            inode, offset, entry_size, kind = DIRENT_HEAD.unpack_from(buffer, at)
            start = at + DIRENT_NAME_AT
            name = bytes(buffer[start : buffer.index(0, start)])
            given = _NOTHING if name in _DOTS else self._node(reader, opened.node, name)
            if given is not _NOTHING:
                inode = int.from_bytes(given[_INODE_AT : _INODE_AT + 8], "little")
            elif number is not None:
                inode = number(inode, bytearray(name))
            parts.append(given + dirent(inode, offset, kind, name))
            at += entry_size
        opened.position = offset
        return b"".join(parts)

    def _listing(self, opened: OpenDirectory, offset: int) -> list[tuple[bytes, int, int]]:
        """Return name, inode and type of entries from `offset` on, of a directory that the view adds to."""
        if offset == 0 or opened.listing is None:
            opened.listing = self._list(opened)
        return opened.listing[offset:]

    def _list(self, opened: OpenDirectory) -> list[tuple[bytes, int, int]]:
        node = opened.node
        if node.view is None:
            dots = [(b".", ROOT_INODE, _DT_DIR), (b"..", ROOT_INODE, _DT_DIR)]
            views = self._server.views.table.views()
            return dots + [(os.fsencode(view.name), view.root_inode(), _DT_DIR) for view in views]
        if opened.fd >= 0:
            os.lseek(opened.fd, 0, os.SEEK_SET)
        source = fs_directories.DirectoryHandle(node.view, node.mount.mount, node.path or b"", opened.fd)
        return [(entry.name, entry.inode, entry.mode >> 12) for entry in source.entries()]

    def _numbers(self, reader: Reader, opened: OpenDirectory) -> Callable[[int, bytearray], int] | None:
        """Return how inode numbers are shown, None if they are shown as they are."""
        node = opened.node
        mount = node.mount
        if node.path is None and node.directory is not None and mount.plain and mount.on_own_device(node.directory.key):
            return None
        found = reader.statx.at(opened.fd, b"")
        device = os.makedev(found.major, found.minor)
        above = 0
        if node.path is not None and node.parent is not None:
            # Above a mount's root is another mount.
            status = self._server.getattr(reader, node.parent)
            above = node.parent.mount.inode(status) if isinstance(status, Statx) else status.inode
        number = mount.source.number
        return lambda inode, name: above if above and name == b".." else number(device, inode)

    def _node(self, reader: Reader, parent: DirectoryNode, name: bytes) -> bytes:
        """Return the node of a name, counted; none if it is gone by now."""
        try:
            return self._server.entry_at(reader, parent, name)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ESTALE, errno.EIO):
                return _NOTHING
            raise


def _is_stream(opened: OpenDirectory) -> bool:
    return opened.node.directory is not None and opened.node.own is None


def _renumber(buffer: bytearray, length: int, number: Callable[[int, bytearray], int]) -> None:
    """Put the inode numbers that the view shows into what getdents64(2) has filled."""
    at = 0
    while at < length:
        inode, _, size, _ = DIRENT_HEAD.unpack_from(buffer, at)
        start = at + DIRENT_NAME_AT
        buffer[at : at + 8] = number(inode, buffer[start : buffer.index(0, start)]).to_bytes(8, "little")
        at += size


def _fill(reader: Reader, opened: OpenDirectory, offset: int, size: int) -> int:
    """Read the source's entries from `offset`, which is where the last reading ended unless the program sought."""
    if offset != opened.position:
        os.lseek(opened.fd, offset, os.SEEK_SET)
    opened.position = -1
    return reader.stream.fill(opened.fd, size)
