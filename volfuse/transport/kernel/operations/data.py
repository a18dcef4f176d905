"""READ, WRITE, LSEEK, FALLOCATE, COPY_FILE_RANGE: the content of open files, where it is not passed through."""

# ruff: noqa: ARG002 (handlers have one signature)
from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from volfuse.fs import files as fs_files
from volfuse.fs.descriptors import Caller
from volfuse.fs.files import FileHandle
from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.session import Handler, Reader
from volfuse.transport.kernel.wire.flags import FUSE_WRITE_KILL_SUIDGID
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.replies import SIZE_REPLY, U64_REPLY, error, payload
from volfuse.transport.kernel.wire.requests import HEADER_SIZE, payload_at

__all__ = ["Data"]

_READ_IN = LAYOUTS["fuse_read_in"].struct
_WRITE_IN = LAYOUTS["fuse_write_in"].struct
_LSEEK_IN = LAYOUTS["fuse_lseek_in"].struct
_FALLOCATE_IN = LAYOUTS["fuse_fallocate_in"].struct
_COPY_IN = LAYOUTS["fuse_copy_file_range_in"].struct
_MOST_BYTES_32 = 0x7FFFF000


class Data:
    """What lies in files."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles

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

    def read(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Answer with content."""
        handle, offset, size, _, _, _ = _READ_IN.unpack_from(reader.buffer, HEADER_SIZE)
        return payload(unique, os.pread(self._handles.file(handle).file.fd, size, offset))

    def write(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Write; as the caller where set-user-id bits are to go with it."""
        handle, offset, size, flags, _, _ = _WRITE_IN.unpack_from(reader.buffer, HEADER_SIZE)
        data = payload_at(reader.buffer, HEADER_SIZE + _WRITE_IN.size, end, size)
        fd = self._file(handle, writing=True).fd
        uid, gid = reader.header[4:6] if flags & FUSE_WRITE_KILL_SUIDGID else (0, 0)
        written = fs_files.write(fd, data, offset, Caller(uid, gid))
        return SIZE_REPLY.pack(SIZE_REPLY.size, 0, unique, written)

    def lseek(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Answer where the next data or hole is."""
        handle, offset, whence = _LSEEK_IN.unpack_from(reader.buffer, HEADER_SIZE)
        fd = self._file(handle).fd
        return U64_REPLY.pack(U64_REPLY.size, 0, unique, os.lseek(fd, offset, whence))

    def fallocate(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Allocate or free a range."""
        handle, offset, length, mode = _FALLOCATE_IN.unpack_from(reader.buffer, HEADER_SIZE)
        fd = self._file(handle, writing=True).fd
        _, _, _, _, uid, gid, pid, _ = reader.header
        fs_files.allocate(fd, mode, offset, length, Caller(uid, gid, pid))
        return error(unique, 0)

    def copy_file_range(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Copy within the source; the count has 32 bits."""
        copied = self._copy(reader, _MOST_BYTES_32)
        return SIZE_REPLY.pack(SIZE_REPLY.size, 0, unique, copied)

    def copy_file_range_64(self, reader: Reader, unique: int, nodeid: int, end: int) -> bytes:
        """Copy within the source."""
        copied = self._copy(reader, (1 << 63) - 1)
        return U64_REPLY.pack(U64_REPLY.size, 0, unique, copied)

    def _copy(self, reader: Reader, most: int) -> int:
        source, offset_in, _, target, offset_out, length, _ = _COPY_IN.unpack_from(reader.buffer, HEADER_SIZE)
        source_fd = self._file(source).fd
        target_fd = self._file(target, writing=True).fd
        reader.hand_over()
        return os.copy_file_range(source_fd, target_fd, min(length, most), offset_in, offset_out)

    def _file(self, handle: int, *, writing: bool = False) -> FileHandle:
        """Return an open file; EBADF if it is not open for writing and that is wanted."""
        file = self._handles.file(handle).file
        if writing and file.flags & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return file
