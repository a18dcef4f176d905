"""GETLK, SETLK, SETLKW (record locks and flock), INTERRUPT."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Mapping
from typing import Final

from volfuse.sys.filelock import RecordLock
from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.locks import Locks
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.encoding import error, reply
from volfuse.transport.kernel.wire.flags import FUSE_LK_FLOCK
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.requests import HEADER_SIZE

__all__ = ["Locking"]

_LK_IN = LAYOUTS["fuse_lk_in"].struct
_LK_OUT = LAYOUTS["fuse_lk_out"].struct
_INTERRUPT_IN = LAYOUTS["fuse_interrupt_in"].struct
_OFFSET_MAX: Final = (1 << 63) - 1
_FLOCK = {fcntl.F_RDLCK: fcntl.LOCK_SH, fcntl.F_WRLCK: fcntl.LOCK_EX, fcntl.F_UNLCK: fcntl.LOCK_UN}


class Locking:
    """Locks of files."""

    def __init__(self, handles: Handles, locks: Locks, interrupt: Callable[[int], None]) -> None:
        self._handles = handles
        self._locks = locks
        self._interrupt = interrupt

    def handlers(self) -> Mapping[Opcode, Handler]:
        """Return the handlers of this theme."""
        return {
            Opcode.GETLK: self.getlk,
            Opcode.SETLK: self.setlk,
            Opcode.SETLKW: self.setlkw,
            Opcode.INTERRUPT: self.interrupt,
        }

    def getlk(self, reader: Reader) -> bytes:
        """Answer with a lock that stands in the way."""
        handle, owner, start, stop, kind, pid, _ = _LK_IN.unpack_from(reader.buffer, HEADER_SIZE)
        found = self._locks.get(self._handles.file(handle), owner, _lock(start, stop, kind, pid))
        last = found.start + found.length - 1 if found.length else _OFFSET_MAX
        return reply(reader.unique, _LK_OUT.pack(found.start, last, found.kind, max(found.pid, 0)))

    def setlk(self, reader: Reader) -> bytes:
        """Lock or unlock without waiting."""
        handle, owner, start, stop, kind, pid, flags = _LK_IN.unpack_from(reader.buffer, HEADER_SIZE)
        file = self._handles.file(handle)
        if flags & FUSE_LK_FLOCK:
            self._handles.own_descriptor(file)
            self._locks.flock(file, _FLOCK[kind])
        else:
            self._locks.set(file, owner, _lock(start, stop, kind, pid))
        return error(reader.unique, 0)

    def setlkw(self, reader: Reader) -> bytes | None:
        """Lock; where that has to wait, the answer comes later."""
        handle, owner, start, stop, kind, pid, flags = _LK_IN.unpack_from(reader.buffer, HEADER_SIZE)
        file = self._handles.file(handle)
        if flags & FUSE_LK_FLOCK:
            self._handles.own_descriptor(file)
            done = self._locks.wait_flock(reader.unique, file, _FLOCK[kind])
        else:
            done = self._locks.wait_set(reader.unique, file, owner, _lock(start, stop, kind, pid))
        return error(reader.unique, 0) if done else None

    def interrupt(self, reader: Reader) -> None:
        """End a wait for a lock; let a killed program go that waits for anything else."""
        (interrupted,) = _INTERRUPT_IN.unpack_from(reader.buffer, HEADER_SIZE)
        self._locks.interrupt(interrupted)
        self._interrupt(interrupted)


def _lock(start: int, last: int, kind: int, pid: int) -> RecordLock:
    return RecordLock(kind, start, 0 if last >= _OFFSET_MAX else last - start + 1, pid)
