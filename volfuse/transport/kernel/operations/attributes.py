"""GETATTR, SETATTR, STATX, STATFS.

Rights were checked by the kernel (default_permissions), so changes are made with the daemon's own.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from volfuse.core.feed import ChangeKind
from volfuse.fs import attributes as fs_attributes
from volfuse.fs.descriptors import self_path
from volfuse.sys.credentials import writing_as
from volfuse.sys.statx import STATX_BASIC_STATS, STATX_BTIME, Statx, StatxFields
from volfuse.sys.utimens import NOW, OMIT, Timespec
from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.nodes import DirectoryNode, File, Node
from volfuse.transport.kernel.server import Server, attributes_of
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.encoding import reply
from volfuse.transport.kernel.wire.flags import FATTR
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.requests import HEADER_SIZE

__all__ = ["Attributes"]

_ATTRIB, _TRUNCATE = ChangeKind.ATTRIB, ChangeKind.TRUNCATE
_LARGEST = (1 << 63) - 1
_SETATTR_IN = LAYOUTS["fuse_setattr_in"].struct
_STATX = LAYOUTS["fuse_statx"].struct
_KSTATFS = LAYOUTS["fuse_kstatfs"].struct
_SPARE = bytes(16)
"""Of struct fuse_statx_out; the timeouts before it are those of fuse_attr_out."""

_MODE, _UID, _GID, _SIZE = int(FATTR.MODE), int(FATTR.UID), int(FATTR.GID), int(FATTR.SIZE)
_ATIME, _MTIME, _FH = int(FATTR.ATIME), int(FATTR.MTIME), int(FATTR.FH)
_ATIME_NOW, _MTIME_NOW, _KILL = int(FATTR.ATIME_NOW), int(FATTR.MTIME_NOW), int(FATTR.KILL_SUIDGID)
_TIMES = {0: b"", _ATIME: b"atime", _MTIME: b"mtime", _ATIME | _MTIME: b"times"}


class Attributes:
    """What stat(2) shows, and changing it."""

    def __init__(self, server: Server, handles: Handles) -> None:
        self._server = server
        self._handles = handles

    def handlers(self) -> Mapping[Opcode, Handler]:
        """Return the handlers of this theme."""
        return {
            Opcode.GETATTR: self.getattr,
            Opcode.SETATTR: self.setattr,
            Opcode.STATX: self.statx,
            Opcode.STATFS: self.statfs,
        }

    def getattr(self, reader: Reader) -> bytes:
        """Answer with the attributes of a node."""
        server = self._server
        return server.attr_reply(reader, server.nodes.node(reader.nodeid))

    def setattr(self, reader: Reader) -> bytes:
        """Change mode, owner, size, times; answer with what they are then. The ctime is the source's own."""
        (
            valid, handle, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, uid, gid,
        ) = _SETATTR_IN.unpack_from(reader.buffer, HEADER_SIZE)  # fmt: skip
        server = self._server
        node = server.nodes.node(reader.nodeid)
        mount = node.mount.mount
        mount.check_writable()
        if isinstance(node, DirectoryNode):
            pinned = server.directories.of(node, reader.statx)
        else:
            pinned = server.pin(reader, node)
        fd = pinned.fd
        content = node.opened if isinstance(node, File) and valid & (_SIZE | _ATIME | _MTIME) else None
        if content is not None:
            server.writers.changing(content, reader.statx)
        if valid & _SIZE:
            self._truncate(reader, node, fd, size, handle if valid & _FH else None, valid & _KILL != 0)
        if valid & (_UID | _GID):
            fs_attributes.chown_at(mount, fd, b"", uid if valid & _UID else -1, gid if valid & _GID else -1)
        if valid & _MODE:
            os.chmod(self_path(fd), mode & 0o7777)
        if valid & (_ATIME | _MTIME):
            fs_attributes.utimens_at(
                mount,
                fd,
                b"",
                _time(valid, _ATIME, _ATIME_NOW, atime, atime_ns),
                _time(valid, _MTIME, _MTIME_NOW, mtime, mtime_ns),
            )
        self._publish(reader, node, valid, size, handle)
        if content is not None:
            content.content = reader.statx.at(fd, b"").content()
        if isinstance(node, DirectoryNode):
            server.changed(node.directory, reader.nodeid)
        return server.attr_reply(reader, node, True)

    def _publish(self, reader: Reader, node: Node, valid: int, size: int, handle: int) -> None:
        feed = self._server.feed
        if valid & _SIZE and isinstance(node, File):
            file = self._handles.files.get(handle) if valid & _FH else None
            opened = file is not None and file.opener is not None
            mount = file.mount if file is not None and opened else feed.mount_of(reader, node)
            feed.file(reader, _TRUNCATE, node, mount, -1, size)
        if valid & (_MODE | _UID | _GID | _ATIME | _MTIME):
            feed.node(reader, _ATTRIB, node, _names(valid))

    def statx(self, reader: Reader) -> bytes:
        """Answer with attributes and the birth time, which GETATTR has no room for."""
        server = self._server
        node = server.nodes.node(reader.nodeid)
        version = server.leasing.version()
        found = server.getattr(reader, node)
        mount = node.mount
        timeouts = server.attr_timeouts(node, found, version)
        if isinstance(found, Statx):
            fields = found.fields()
            # The device is the view's own, which the kernel fills in.
            fields = (*fields[:7], mount.inode(found), *fields[8:21], 0, 0)
        else:
            fields = _synthetic_statx(attributes_of(found))
        return reply(reader.unique, timeouts.attr + _SPARE + _STATX.pack(*fields))

    def statfs(self, reader: Reader) -> bytes:
        """Answer with the figures of the file system that a node lies on."""
        server = self._server
        node = server.nodes.node(reader.nodeid)
        found = _statfs(server, reader, node)
        body = _KSTATFS.pack(
            found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree, found.f_bsize, found.f_namemax,
            found.f_frsize,
        )  # fmt: skip
        return reply(reader.unique, body)

    def _truncate(self, reader: Reader, node: Node, fd: int, size: int, handle: int | None, kill: bool) -> None:
        """Set the size, for the caller where set-user-id bits are to go: the daemon's own right would keep them."""
        if not isinstance(node, File):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if size > _LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        # By path where it is not open: closing a descriptor would be an event that no truncate(2) causes.
        opened = self._handles.writable(node, handle)
        target: int | bytes = self_path(fd) if opened is None else opened
        if kill:
            with writing_as(reader.uid):
                os.truncate(target, size)
        else:
            os.truncate(target, size)


def _names(valid: int) -> bytes:
    """Return what was set, as the feed tells it."""
    owner, mode = b"owner" if valid & (_UID | _GID) else b"", b"mode" if valid & _MODE else b""
    return b",".join(part for part in (owner, mode, _TIMES[valid & (_ATIME | _MTIME)]) if part)


def _time(valid: int, given: int, now: int, seconds: int, nanoseconds: int) -> Timespec:
    if not valid & given:
        return OMIT
    return NOW if valid & now else (seconds, nanoseconds)


def _statfs(server: Server, reader: Reader, node: Node) -> os.statvfs_result:
    if isinstance(node, File):
        pinned = server.pin(reader, node)
        return os.fstatvfs(pinned.fd)
    if node.directory is not None:
        holder = server.directories.of(node, reader.statx)
        return os.fstatvfs(holder.fd)
    if node.view is None:
        return os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    return os.fstatvfs(node.mount.source.fd)


def _synthetic_statx(attr: tuple[int, ...]) -> StatxFields:
    inode, size, blocks, atime, mtime, ctime, atime_ns, mtime_ns, ctime_ns, mode, nlink, uid, gid, _, blksize, _ = attr
    return (
        STATX_BASIC_STATS | STATX_BTIME, blksize, 0, nlink, uid, gid, mode, inode, size, blocks, 0, atime, atime_ns,
        ctime, ctime_ns, ctime, ctime_ns, mtime, mtime_ns, 0, 0, 0, 0,
    )  # fmt: skip
