"""LOOKUP, FORGET, BATCH_FORGET: what the kernel holds."""

from __future__ import annotations

from collections.abc import Mapping
from errno import ENOENT

from volfuse.sys.raw import u64
from volfuse.transport.kernel.mounts import ENDLESS
from volfuse.transport.kernel.nodes import Directory, DirectoryNode, Fd, RootFd
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.encoding import ATTR_BYTES, error, reply
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.requests import HEADER_SIZE

__all__ = ["Lookups"]

_BATCH_IN = LAYOUTS["fuse_batch_forget_in"].struct
_LOOKED = 4096
"""Threads whose last look-up is remembered."""
_ABSENT = bytes(8 + 8) + ENDLESS.entry + bytes(ATTR_BYTES)
"""struct fuse_entry_out without a node: there is no such name, and the kernel may remember that."""


class Lookups:
    """Names to nodes, and nodes given back."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def handlers(self) -> Mapping[Opcode, Handler]:
        """Return the handlers of this theme."""
        return {Opcode.LOOKUP: self.lookup, Opcode.FORGET: self.forget, Opcode.BATCH_FORGET: self.batch_forget}

    def lookup(self, reader: Reader) -> bytes:
        """Answer with the node of a name. An absent name of a private tree is remembered by the kernel."""
        server = self._server
        parent = server.nodes.directory_node(reader.nodeid)
        name = reader.name(HEADER_SIZE)
        feed = server.feed
        if not parent.mount.private:
            feed.looked[reader.pid] = parent
        feed.asked.add(reader.pid)
        if len(feed.looked) > _LOOKED:
            feed.looked.clear()
        if len(feed.asked) > _LOOKED:
            feed.asked.clear()
        directory = parent.directory
        if parent.own is None and directory is not None:
            # Most requests of all are this: no exception for a name that is not there.
            holder = server.directories.of(parent, reader.statx)
            version = self._version(reader, parent, directory, name, holder) if parent.mount.leases else -1
            number = reader.statx.find(holder.fd, name)
            if number == 0 and server.misses.late:
                number = server.misses.hold(reader.pid, parent.mount, holder.fd, name, reader.statx)
            if number == 0:
                if server.session.replayer and reader.statx.is_directory:
                    self._make_way(reader, parent)
                entry = server.entry(parent, directory, name, reader.statx, False, version, reader)
                return reply(reader.unique, entry)
            absent = number == ENOENT and parent.mount.private
            return reply(reader.unique, _ABSENT) if absent else error(reader.unique, number)
        try:
            return reply(reader.unique, server.entry_at(reader, parent, name))
        except OSError as exc:
            if exc.errno == ENOENT and parent.mount.private and parent.view is not None:
                return reply(reader.unique, _ABSENT)
            raise

    def _version(
        self, reader: Reader, parent: DirectoryNode, directory: Directory, name: bytes, holder: Fd | RootFd
    ) -> int:
        """Return by what a name is granted, once its expiries are done if a thread told to try again looks it up.

        Nothing is granted to a thread that cannot be seen go on.
        """
        server = self._server
        if reader.pid in server.leasing.told:
            server.leasing.look(reader, directory, parent.id, name)
        return server.version(parent, directory, holder) if reader.pid else -1

    def _make_way(self, reader: Reader, parent: DirectoryNode) -> None:
        """Have nothing replayed while the kernel moves a directory that it has at another place in this view.

        It only tries the locks of both places, and of all renames (fs/dcache.c, __d_unalias): if the replay had one of
        them, the program would hear of it, by ESTALE.
        """
        session = self._server.session
        known = parent.mount.nodes.get(parent.mount.key(reader.statx))
        if known is not None and known.parent is not parent and reader.pid != session.replayer:
            session.pause_replay(reader)

    def forget(self, reader: Reader) -> None:
        """Take lookups of a node back."""
        self._server.forget(reader.nodeid, u64(reader.buffer, HEADER_SIZE))

    def batch_forget(self, reader: Reader) -> None:
        """Take lookups of many nodes back."""
        (count,) = _BATCH_IN.unpack_from(reader.buffer, HEADER_SIZE)
        forget = self._server.forget
        for number, lookups in reader.forgets(HEADER_SIZE + _BATCH_IN.size, count):
            forget(number, lookups)
