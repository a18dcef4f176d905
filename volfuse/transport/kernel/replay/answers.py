"""Answers to the helper: what it asks for happens in its view's kernel and nowhere else.

Names to be made are not there yet, names to be removed or changed still are: *phantoms*, nodes that no source has. One
phantom stands for all files in all views (as if they were hard links), so that nothing adds up; a directory, which can
have only one name, is the view's own node where the kernel holds one: its watchers, and those who work in it, go with
it when it is moved. No phantom may be used for longer than the system call: the kernel asks for the name again at its
next use, and gets what is there.

Whatever is not part of the command under way is answered as for everybody.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Final

from volfuse.sys.statx import Statx
from volfuse.transport.kernel.mounts import Timeouts
from volfuse.transport.kernel.nodes import ROOT_ID, DirectoryNode, File
from volfuse.transport.kernel.replay.steps import Do
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.encoding import encode_entry, error, reply
from volfuse.transport.kernel.wire.flags import FOPEN
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.requests import HEADER_SIZE

__all__ = ["Answers", "Expected"]

_ATTR: Final = LAYOUTS["fuse_attr"].struct
_ENTRY_HEAD: Final = Struct("<QQ24s")
"""struct fuse_entry_out before the attributes: node id, generation, timeouts."""
_OPEN_OUT: Final = LAYOUTS["fuse_open_out"].struct
_MKDIR_IN: Final = LAYOUTS["fuse_mkdir_in"].struct
_LINKS: Final = 1 << 20
"""So many that a phantom is never without one, however often the kernel takes one off."""
_AT_ONCE: Final = Timeouts(0, 0)
_LASTING: Final = Timeouts(0, 3600)
"""The name at once, attributes for long: nobody else can set them."""
_NO_NUMBER: Final = 0
"""A handle that is not open: releasing it is an error that nobody hears of."""
_OPEN_FLAGS: Final = int(FOPEN.DIRECT_IO | FOPEN.NOFLUSH)


@dataclass(slots=True)
class Expected:
    """A command of the helper as its requests are to be answered.

    Attributes:
        node: the view's directory; None for the place outside of all views.
        new_node, new_name: where the name goes.
        known: the view's node of the directory, or the node of the open file, that has the name; a phantom has it
            otherwise.
        phantom: node id that stands for a directory.
    """

    do: Do
    node: DirectoryNode | None
    name: bytes
    is_directory: bool
    new_node: DirectoryNode | None = None
    new_name: bytes = b""
    known: DirectoryNode | File | None = None
    phantom: int = 0


class Answers:
    """Answers the requests of the helper.

    Args:
        current: returns the command that is being done, None if none is.

    Attributes:
        outside: name and node id of a directory that only the helper can see: what leaves a watched directory goes
            there, and what comes to one comes from there.
    """

    def __init__(self, server: Server, handlers: list[Handler | None], current: Callable[[], Expected | None]) -> None:
        self._server = server
        self._handlers = handlers
        self._current = current
        self._file = server.nodes.reserve()
        self.outside = f".volfuse-{secrets.token_hex(16)}".encode(), server.nodes.reserve()
        self._phantoms = {self._file, self.outside[1]}
        self._regular = _attributes(stat.S_IFREG | 0o600, _LINKS)
        self._directory = _attributes(stat.S_IFDIR | 0o700, 2)

    def handlers(self) -> list[Handler | None]:
        """Return the handlers by opcode; those for what the helper never does are everybody's."""
        found = list(self._handlers)
        for opcode, handler in {
            Opcode.LOOKUP: self.lookup,
            Opcode.GETATTR: self.getattr,
            Opcode.SETATTR: self.setattr,
            Opcode.MKNOD: self.mknod,
            Opcode.MKDIR: self.mkdir,
            Opcode.UNLINK: self.done,
            Opcode.RMDIR: self.done,
            Opcode.RENAME: self.rename,
            Opcode.RENAME2: self.rename,
            Opcode.OPEN: self.open,
            Opcode.CREATE: self.create,
        }.items():
            found[opcode] = handler
        return found

    def lookup(self, reader: Reader) -> bytes | None:
        """Answer what a name is to be for the command under way."""
        name = reader.name(HEADER_SIZE)
        if reader.nodeid == ROOT_ID and name == self.outside[0]:
            return self._entry(reader, self.outside[1], self._directory)
        expected = self._current()
        if expected is None:
            return self._everybody(reader)
        if self._is(reader.nodeid, expected.node) and name == expected.name:
            if expected.do in (Do.MAKE, Do.MAKE_CLOSE, Do.MAKE_MODIFY_CLOSE):
                return error(reader.unique, errno.ENOENT)
            return self._subject(reader, expected)
        if self._is(reader.nodeid, expected.new_node) and name == expected.new_name:
            return error(reader.unique, errno.ENOENT)
        return self._everybody(reader)

    def getattr(self, reader: Reader) -> bytes | None:
        """Answer with the attributes of a phantom."""
        expected = self._current()
        if reader.nodeid in self._phantoms or (expected is not None and reader.nodeid == expected.phantom):
            return self._attributes(reader, directory=reader.nodeid != self._file)
        return self._everybody(reader)

    def setattr(self, reader: Reader) -> bytes:
        """Change nothing, and answer with the attributes as they are."""
        if reader.nodeid == self._file:
            return self._attributes(reader, directory=False)
        expected = self._current()
        if expected is not None and reader.nodeid == expected.phantom:
            return self._attributes(reader, directory=True)
        server = self._server
        return server.attr_reply(reader, server.nodes.node(reader.nodeid))

    def mknod(self, reader: Reader) -> bytes:
        """Make nothing."""
        return self._entry(reader, self._file, self._regular)

    def mkdir(self, reader: Reader) -> bytes:
        """Make nothing: the directory is there, or was."""
        name = reader.name(HEADER_SIZE + _MKDIR_IN.size)
        server = self._server
        parent = server.nodes.directory_node(reader.nodeid)
        if parent.directory is not None:
            holder = server.holder(reader, parent)
            if reader.statx.find(holder.fd, name) == 0 and reader.statx.is_directory:
                return reply(reader.unique, server.entry(parent, parent.directory, name, reader.statx))
        return self._entry(reader, server.nodes.reserve(), self._directory)

    def rename(self, reader: Reader) -> bytes:
        """Move nothing in the source; but the node that the kernel moves has a new place."""
        expected = self._current()
        if expected is not None and isinstance(expected.known, DirectoryNode) and expected.new_node is not None:
            known, new_node = expected.known, expected.new_node
            with self._server.nodes.lock:
                known.parent = new_node
                if known.directory is not None:
                    known.directory.parent = new_node.directory
                    known.directory.name = expected.new_name
        return self.done(reader)

    def done(self, reader: Reader) -> bytes:
        """Do nothing."""
        return error(reader.unique, 0)

    def open(self, reader: Reader) -> bytes:
        """Open nothing. Not passed through: the kernel would open the file itself."""
        return reply(reader.unique, _OPEN_OUT.pack(_NO_NUMBER, _OPEN_FLAGS, 0))

    def create(self, reader: Reader) -> bytes:
        """Make and open nothing."""
        entry = _ENTRY_HEAD.pack(self._file, 0, _LASTING.entry) + self._regular
        return reply(reader.unique, entry + _OPEN_OUT.pack(_NO_NUMBER, _OPEN_FLAGS, 0))

    def _subject(self, reader: Reader, expected: Expected) -> bytes:
        """Answer with what is to be changed, moved or removed."""
        known, server = expected.known, self._server
        if known is not None and server.nodes.count(known):
            try:
                found = server.getattr(reader, known)
            except OSError:  # it is gone: its attributes do not matter any more
                return self._entry(reader, known.id, self._directory if expected.is_directory else self._regular)
            if isinstance(found, Statx):
                inode = known.mount.inode(found)
                return reply(reader.unique, encode_entry(known.id, _AT_ONCE.entry, inode, found.buffer))
        if not expected.is_directory:
            return self._entry(reader, self._file, self._regular)
        expected.phantom = expected.phantom or self._server.nodes.reserve()
        return self._entry(reader, expected.phantom, self._directory)

    def _is(self, number: int, node: DirectoryNode | None) -> bool:
        return number == (self.outside[1] if node is None else node.id)

    def _entry(self, reader: Reader, number: int, attributes: bytes) -> bytes:
        return reply(reader.unique, _ENTRY_HEAD.pack(number, 0, _LASTING.entry) + attributes)

    def _attributes(self, reader: Reader, *, directory: bool) -> bytes:
        return reply(reader.unique, _LASTING.attr + (self._directory if directory else self._regular))

    def _everybody(self, reader: Reader) -> bytes | None:
        handler = self._handlers[reader.opcode]
        return handler(reader) if handler is not None else error(reader.unique, errno.ENOSYS)


def _attributes(mode: int, links: int) -> bytes:
    """Return struct fuse_attr of a phantom: the daemon's own, and very large as an inode number."""
    return _ATTR.pack((1 << 63) - 1, 0, 0, 0, 0, 0, 0, 0, 0, mode, links, os.geteuid(), os.getegid(), 0, 4096, 0)
