"""IOCTL for the flags of files, SYNCFS, DESTROY; ACCESS is the kernel's own business (default_permissions)."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Mapping
from typing import Final

from volfuse.core.feed import ChangeKind
from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.nodes import File
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.encoding import error, reply
from volfuse.transport.kernel.wire.flags import FUSE_IOCTL_DIR
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.requests import HEADER_SIZE

__all__ = ["Others"]

_IOCTL_IN = LAYOUTS["fuse_ioctl_in"].struct
_IOCTL_OUT = LAYOUTS["fuse_ioctl_out"].struct

# include/uapi/linux/fs.h
FS_IOC_GETFLAGS: Final = 0x80086601
FS_IOC_SETFLAGS: Final = 0x40086602
FS_IOC_FSGETXATTR: Final = 0x801C581F
FS_IOC_FSSETXATTR: Final = 0x401C5820
_READS = frozenset({FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR})
_WRITES = frozenset({FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR})


class Others:
    """What fits no other theme."""

    def __init__(self, server: Server, handles: Handles) -> None:
        self._server = server
        self._handles = handles

    def handlers(self) -> Mapping[Opcode, Handler]:
        """Return the handlers of this theme."""
        return {Opcode.IOCTL: self.ioctl, Opcode.SYNCFS: self.syncfs, Opcode.DESTROY: self.destroy}

    def ioctl(self, reader: Reader) -> bytes:
        """Get or set the flags of a file or directory (chattr, lsattr) where the source has them."""
        handle, flags, command, _, in_size, out_size = _IOCTL_IN.unpack_from(reader.buffer, HEADER_SIZE)
        if command not in _READS | _WRITES:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        node = self._server.nodes.node(reader.nodeid)
        if command in _WRITES:
            node.mount.mount.check_writable()
        fd = self._handles.directory(handle).fd if flags & FUSE_IOCTL_DIR else self._handles.file(handle).fd
        if fd < 0:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        argument = bytearray(max(in_size, out_size, 32))
        argument[:in_size] = reader.payload(HEADER_SIZE + _IOCTL_IN.size, in_size)
        fcntl.ioctl(fd, command, argument)
        if command in _WRITES:
            self._server.feed.node(reader, ChangeKind.ATTRIB, node, b"flags")
        if not isinstance(node, File):
            self._server.changed(node.directory, reader.nodeid)
        out = bytes(argument[:out_size])
        return reply(reader.unique, _IOCTL_OUT.pack(0, 0, 0, 0) + out)

    def syncfs(self, reader: Reader) -> bytes:
        """Write everything to disk: all sources that are shown may lie on different file systems."""
        reader.hand_over()
        os.sync()
        return error(reader.unique, 0)

    def destroy(self, reader: Reader) -> bytes:
        """Answer that the session may end; the reading finds its end by itself."""
        return error(reader.unique, 0)
