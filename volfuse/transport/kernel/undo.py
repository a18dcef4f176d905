"""Taking back what a reply gave that the kernel did not take, since the program had given the request up meanwhile."""

from __future__ import annotations

from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.wire.encoding import ENTRY_BYTES
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode

__all__ = ["Undo"]

_GIVE_NODE = frozenset({Opcode.LOOKUP, Opcode.MKNOD, Opcode.MKDIR, Opcode.SYMLINK, Opcode.LINK})
_GIVE_NODE_AND_HANDLE = frozenset({Opcode.CREATE, Opcode.TMPFILE})
_HEADER_SIZE = LAYOUTS["fuse_out_header"].size
_ENTRY_SIZE = _HEADER_SIZE + ENTRY_BYTES
_OPEN_SIZE = _HEADER_SIZE + LAYOUTS["fuse_open_out"].size
_CREATE_SIZE = _ENTRY_SIZE + LAYOUTS["fuse_open_out"].size


class Undo:
    """Undoes successful replies."""

    def __init__(self, server: Server, handles: Handles) -> None:
        self._server = server
        self._handles = handles

    def __call__(self, opcode: int, reply: bytes) -> None:
        """Take back the lookup or the handle that `reply` to `opcode` gave."""
        if opcode in _GIVE_NODE and len(reply) == _ENTRY_SIZE:
            self._server.forget(_u64(reply, _HEADER_SIZE), 1)
        elif opcode in _GIVE_NODE_AND_HANDLE and len(reply) == _CREATE_SIZE:
            self._handles.release_file(_u64(reply, _ENTRY_SIZE))
            self._server.forget(_u64(reply, _HEADER_SIZE), 1)
        elif opcode == Opcode.OPEN and len(reply) == _OPEN_SIZE:
            self._handles.release_file(_u64(reply, _HEADER_SIZE))
        elif opcode == Opcode.OPENDIR and len(reply) == _OPEN_SIZE:
            self._handles.release_directory(_u64(reply, _HEADER_SIZE))


def _u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")
