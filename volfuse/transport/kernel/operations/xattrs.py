"""GETXATTR, LISTXATTR, SETXATTR, REMOVEXATTR: extended attributes, POSIX ACLs among them."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from volfuse.core.feed import ChangeKind
from volfuse.fs import xattrs as fs_xattrs
from volfuse.fs.descriptors import self_path
from volfuse.transport.kernel.nodes import DirectoryNode, Fd, Node, RootFd
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.encoding import error, reply
from volfuse.transport.kernel.wire.flags import FUSE_SETXATTR_ACL_KILL_SGID
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.requests import HEADER_SIZE, SETXATTR_IN_COMPAT

__all__ = ["Xattrs"]

_GETXATTR_IN = LAYOUTS["fuse_getxattr_in"].struct
_SIZE = LAYOUTS["fuse_getxattr_out"].struct
_SETXATTR_IN = LAYOUTS["fuse_setxattr_in"].struct


class Xattrs:
    """Extended attributes.

    Args:
        extended: whether FUSE_SETXATTR_EXT was agreed on, which makes fuse_setxattr_in longer.
    """

    def __init__(self, server: Server, *, extended: bool) -> None:
        self._server = server
        self._extended = extended

    def handlers(self) -> Mapping[Opcode, Handler]:
        """Return the handlers of this theme."""
        return {
            Opcode.GETXATTR: self.getxattr,
            Opcode.LISTXATTR: self.listxattr,
            Opcode.SETXATTR: self.setxattr,
            Opcode.REMOVEXATTR: self.removexattr,
        }

    def getxattr(self, reader: Reader) -> bytes:
        """Answer with a value, or with its size if the caller has no room."""
        (size,) = _GETXATTR_IN.unpack_from(reader.buffer, HEADER_SIZE)
        name, _ = reader.value(HEADER_SIZE + _GETXATTR_IN.size)
        node = self._server.nodes.node(reader.nodeid)
        if isinstance(node, DirectoryNode) and node.directory is None:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), name)
        pinned = self._pin(reader, node)
        return _sized(reader.unique, size, fs_xattrs.getxattr_at(pinned.fd, b"", name))

    def listxattr(self, reader: Reader) -> bytes:
        """Answer with the names of all attributes, or with the size of that."""
        (size,) = _GETXATTR_IN.unpack_from(reader.buffer, HEADER_SIZE)
        node = self._server.nodes.node(reader.nodeid)
        if isinstance(node, DirectoryNode) and node.directory is None:
            return _sized(reader.unique, size, b"")
        pinned = self._pin(reader, node)
        return _sized(reader.unique, size, b"".join(name + b"\0" for name in fs_xattrs.listxattr_at(pinned.fd, b"")))

    def setxattr(self, reader: Reader) -> bytes:
        """Set an attribute."""
        size, flags, more = _SETXATTR_IN.unpack_from(reader.buffer, HEADER_SIZE)
        start = HEADER_SIZE + (_SETXATTR_IN.size if self._extended else SETXATTR_IN_COMPAT)
        if not self._extended:
            more = 0
        name, at = reader.value(start)
        value = bytes(reader.payload(at, size))
        node = self._server.nodes.node(reader.nodeid)
        pinned = self._pin(reader, node)
        mount = node.mount.mount
        fs_xattrs.setxattr_at(mount, pinned.fd, b"", name, value, flags)
        if more & FUSE_SETXATTR_ACL_KILL_SGID:
            self._clear_set_group_id(reader, node, pinned.fd)
        self._changed(reader, node, name)
        return error(reader.unique, 0)

    def removexattr(self, reader: Reader) -> bytes:
        """Remove an attribute."""
        name, _ = reader.value(HEADER_SIZE)
        node = self._server.nodes.node(reader.nodeid)
        pinned = self._pin(reader, node)
        fs_xattrs.removexattr_at(node.mount.mount, pinned.fd, b"", name)
        self._changed(reader, node, name)
        return error(reader.unique, 0)

    def _pin(self, reader: Reader, node: Node) -> Fd | RootFd:
        server = self._server
        if isinstance(node, DirectoryNode):
            return server.directories.of(node, reader.statx)
        return server.pin(reader, node)

    def _changed(self, reader: Reader, node: Node, name: bytes) -> None:
        self._server.feed.node(reader, ChangeKind.XATTR, node, name)
        if isinstance(node, DirectoryNode):
            self._server.changed(node.directory, node.id)

    def _clear_set_group_id(self, reader: Reader, node: Node, fd: int) -> None:
        """Do what setting an ACL does for a caller who is not in the file's group (man 2 chmod, EPERM)."""
        mode = reader.statx.at(fd, b"").mode
        if mode & 0o2000:
            os.chmod(self_path(fd), mode & 0o5777)
            self._server.feed.node(reader, ChangeKind.ATTRIB, node, b"mode")


def _sized(unique: int, size: int, value: bytes) -> bytes:
    if size == 0:
        return reply(unique, _SIZE.pack(len(value)))
    if len(value) > size:
        raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
    return reply(unique, value)
