"""READ, WRITE, LSEEK, FALLOCATE, COPY_FILE_RANGE: the content of open files, where it is not passed through."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from volfuse.fs import files as fs_files
from volfuse.fs.descriptors import Caller
from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.nodes import Handle
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.encoding import error, reply
from volfuse.transport.kernel.wire.flags import FUSE_WRITE_KILL_SUIDGID
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.requests import HEADER_SIZE
from volfuse.transport.kernel.written import Writers

__all__ = ["Data"]

_READ_IN = LAYOUTS["fuse_read_in"].struct
_WRITE_IN = LAYOUTS["fuse_write_in"].struct
_LSEEK_IN = LAYOUTS["fuse_lseek_in"].struct
_FALLOCATE_IN = LAYOUTS["fuse_fallocate_in"].struct
_COPY_IN = LAYOUTS["fuse_copy_file_range_in"].struct
_SIZE = LAYOUTS["fuse_write_out"].struct
_U64 = LAYOUTS["fuse_lseek_out"].struct
_ROOT = Caller(0, 0)
_MOST_BYTES_32 = 0x7FFFF000


class Data:
    """What lies in files."""

    def __init__(self, handles: Handles, writers: Writers) -> None:
        self._handles = handles
        self._writers = writers

    def handlers(self) -> Mapping[Opcode, Handler]:
        """Return the handlers of this theme."""
        return {
            Opcode.READ: self.read,
            Opcode.WRITE: self.write,
            Opcode.LSEEK: self.lseek,
            Opcode.FALLOCATE: self.fallocate,
            Opcode.COPY_FILE_RANGE: self.copy_file_range,
            Opcode.COPY_FILE_RANGE_64: self.copy_file_range_64,
        }

    def read(self, reader: Reader) -> bytes:
        """Answer with content."""
        handle, offset, size, _, _, _ = _READ_IN.unpack_from(reader.buffer, HEADER_SIZE)
        return reply(reader.unique, os.pread(self._handles.file(handle).fd, size, offset))

    def write(self, reader: Reader) -> bytes:
        """Write; as the caller where set-user-id bits are to go with it."""
        handle, offset, size, flags, _, _ = _WRITE_IN.unpack_from(reader.buffer, HEADER_SIZE)
        data = reader.payload(HEADER_SIZE + _WRITE_IN.size, size)
        file = self._writing(handle)
        caller = Caller(reader.uid, reader.gid) if flags & FUSE_WRITE_KILL_SUIDGID else _ROOT
        written = fs_files.write(file.fd, data, offset, caller)
        if file.opener is not None:
            self._writers.wrote(handle, written)
        return reply(reader.unique, _SIZE.pack(written))

    def lseek(self, reader: Reader) -> bytes:
        """Answer where the next data or hole is."""
        handle, offset, whence = _LSEEK_IN.unpack_from(reader.buffer, HEADER_SIZE)
        fd = self._handles.file(handle).fd
        return reply(reader.unique, _U64.pack(os.lseek(fd, offset, whence)))

    def fallocate(self, reader: Reader) -> bytes:
        """Allocate or free a range."""
        handle, offset, length, mode = _FALLOCATE_IN.unpack_from(reader.buffer, HEADER_SIZE)
        file = self._writing(handle)
        fs_files.allocate(file.fd, mode, offset, length, Caller(reader.uid, reader.gid, reader.pid))
        if file.opener is not None:
            self._writers.wrote(handle, 0)
        return error(reader.unique, 0)

    def copy_file_range(self, reader: Reader) -> bytes:
        """Copy within the source; the count has 32 bits."""
        copied = self._copy(reader, _MOST_BYTES_32)
        return reply(reader.unique, _SIZE.pack(copied))

    def copy_file_range_64(self, reader: Reader) -> bytes:
        """Copy within the source."""
        copied = self._copy(reader, (1 << 63) - 1)
        return reply(reader.unique, _U64.pack(copied))

    def _copy(self, reader: Reader, most: int) -> int:
        source, offset_in, _, target, offset_out, length, _ = _COPY_IN.unpack_from(reader.buffer, HEADER_SIZE)
        source_fd = self._handles.file(source).fd
        file = self._writing(target)
        reader.hand_over()
        copied = os.copy_file_range(source_fd, file.fd, min(length, most), offset_in, offset_out)
        if file.opener is not None:
            self._writers.wrote(target, copied)
        return copied

    def _writing(self, number: int) -> Handle:
        """Return a file that is open for writing, with a descriptor of its own; EBADF for another."""
        handle = self._handles.file(number)
        if not handle.writes:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._handles.own_descriptor(handle)
        return handle
