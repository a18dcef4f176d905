"""LOOKUP, FORGET, BATCH_FORGET: what the kernel holds."""

# ruff: noqa: ARG002 (handlers have one signature)
from __future__ import annotations

import errno
from collections.abc import Mapping

from volfuse.transport.kernel.server import Server, absent_reply, entry_reply
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.replies import ENTRY_REPLY
from volfuse.transport.kernel.wire.requests import HEADER_SIZE, forgets_at, name_at

__all__ = ["Lookups"]

_FORGET_IN = LAYOUTS["fuse_forget_in"].struct
_BATCH_IN = LAYOUTS["fuse_batch_forget_in"].struct
_PACK = ENTRY_REPLY.pack
_ENTRY_BYTES = ENTRY_REPLY.size


class Lookups:
    """Names to nodes, and nodes given back."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def handlers(self) -> Mapping[Opcode, Handler]:
        """Return the handlers of this theme."""
        return {Opcode.LOOKUP: self.lookup, Opcode.FORGET: self.forget, Opcode.BATCH_FORGET: self.batch_forget}

    def lookup(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Answer with the node of a name. An absent name of a private tree is remembered by the kernel."""
        server = self._server
        parent = server.nodes.directory_node(nodeid)
        name = name_at(reader.buffer, HEADER_SIZE, end)
        directory = parent.directory
        try:
            if directory is not None and parent.own is None and (holder := directory.holder) and not parent.mount.gone:
                # The most frequent case of all requests, without the detours.
                directory.used = True
                found = reader.statx.at(holder.fd, name)
                return _PACK(_ENTRY_BYTES, 0, unique, *server.entry(parent, directory, name, found))
            return entry_reply(unique, server.entry_at(reader, parent, name))
        except OSError as exc:
            if exc.errno == errno.ENOENT and parent.mount.private and parent.view is not None:
                return absent_reply(unique)
            raise

    def forget(self, reader: Reader, unique: int, nodeid: int, end: int) -> None:
        """Take lookups of a node back."""
        self._server.nodes.forget(nodeid, _FORGET_IN.unpack_from(reader.buffer, HEADER_SIZE)[0])

    def batch_forget(self, reader: Reader, unique: int, nodeid: int, end: int) -> None:
        """Take lookups of many nodes back."""
        (count,) = _BATCH_IN.unpack_from(reader.buffer, HEADER_SIZE)
        forget = self._server.nodes.forget
        for number, lookups in forgets_at(reader.buffer, HEADER_SIZE + _BATCH_IN.size, end, count):
            forget(number, lookups)
