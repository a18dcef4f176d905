"""Regular files and special files: open, create, read, write, size, space.

Reading and writing go by the descriptor alone. A file that is opened for appending is opened so in the source too: the
kernel then puts each write at the end, whichever view or host process wrote last.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from volfuse.fs.descriptors import Caller, Pinned, self_path
from volfuse.fs.view import Mount
from volfuse.sys.at import openat
from volfuse.sys.credentials import acting_as, writing_as
from volfuse.sys.fallocate import fallocate

__all__ = [
    "FileHandle",
    "allocate",
    "create_at",
    "create_fd_at",
    "flush",
    "fsync",
    "mknod_at",
    "open_at",
    "open_fd_at",
    "read_into",
    "truncate_at",
    "truncate_fd",
    "write",
]

_PASSED_ON = os.O_ACCMODE | os.O_APPEND | os.O_TRUNC | os.O_SYNC | os.O_DSYNC | os.O_NOATIME
"""What a source is opened with of the caller's flags. O_DIRECT is not: it wants aligned memory, which is ours."""
_NOT_WAITING = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_CREAT | os.O_EXCL


@dataclass(frozen=True, slots=True)
class FileHandle:
    """An open regular file.

    Attributes:
        fd: of the source; closed by the handle table.
        status: of the file when it was opened.
    """

    fd: int
    mount: Mount
    flags: int
    status: os.stat_result

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode number in the source: the file, whatever its names."""
        return self.status.st_dev, self.status.st_ino

    @property
    def readonly(self) -> bool:
        """Whether it is shown on a read-only mount."""
        return self.mount.readonly


def open_at(mount: Mount, dirfd: int, name: bytes, flags: int) -> FileHandle:
    """Open a regular file.

    Raises:
        OSError: EROFS for writing on a read-only mount; ESTALE if the name is no regular file any more, so that the
            kernel looks again.
    """
    return _regular(open_fd_at(mount, dirfd, name, flags), mount, flags, name)


def open_fd_at(mount: Mount, dirfd: int, name: bytes, flags: int) -> int:
    """Open a file as `open_at` does, whatever it is; return a descriptor that the caller closes."""
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_TRUNC):
        mount.check_writable()
    # O_NONBLOCK: if a FIFO took the file's place, opening it must not wait.
    wanted = flags & _PASSED_ON | _NOT_WAITING
    try:
        return _open(dirfd, name, wanted)
    except PermissionError:
        # O_NOATIME is for the owner only; the daemon is not always root.
        if not wanted & os.O_NOATIME:
            raise
        return _open(dirfd, name, wanted & ~os.O_NOATIME)


def create_at(mount: Mount, dirfd: int, name: bytes, flags: int, mode: int, caller: Caller) -> FileHandle:
    """Create and open a regular file that belongs to `caller`.

    Raises:
        OSError: EEXIST with O_EXCL; ESTALE without, if the file exists by now: the kernel found none and has not
            checked the caller's rights to it, so it must look again.
    """
    return _regular(create_fd_at(mount, dirfd, name, flags, mode, caller), mount, flags, name)


def create_fd_at(mount: Mount, dirfd: int, name: bytes, flags: int, mode: int, caller: Caller) -> int:
    """Create and open a file as `create_at` does; return a descriptor that the caller closes."""
    mount.check_writable()
    wanted = flags & _PASSED_ON | _NEW
    try:
        with acting_as(caller.uid, caller.gid):
            return openat(dirfd, name, wanted, mode & 0o7777)
    except FileExistsError as exc:
        if flags & os.O_EXCL:
            raise
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), name) from exc


def mknod_at(mount: Mount, dirfd: int, name: bytes, mode: int, device: int, caller: Caller) -> None:
    """Make a FIFO, a socket, an empty file or, as root, a device that belongs to `caller`."""
    mount.check_writable()
    with acting_as(caller.uid, caller.gid):
        os.mknod(name, mode, device, dir_fd=dirfd)


def read_into(fd: int, buffer: memoryview, offset: int) -> int:
    """Read at `offset` into `buffer`; return the number of bytes, fewer only at the end of the file."""
    return os.preadv(fd, [buffer], offset)


def write(fd: int, data: memoryview | bytes, offset: int, caller: Caller) -> int:
    """Write at `offset`, or at the end if the file is open for appending; return the number of bytes written."""
    with writing_as(caller.uid):
        return os.pwritev(fd, [data], offset)


def truncate_at(mount: Mount, dirfd: int, name: bytes, size: int) -> None:
    """Set the size of a file that is not open."""
    mount.check_writable()
    with Pinned(dirfd, name) as fd:
        os.truncate(self_path(fd), size)


def truncate_fd(fd: int, size: int) -> None:
    """Set the size of an open file."""
    os.ftruncate(fd, size)


def allocate(fd: int, mode: int, offset: int, length: int, caller: Caller) -> None:
    """Allocate or free a range of an open file; `mode` has FALLOC_FL_* bits."""
    with writing_as(caller.uid):
        fallocate(fd, mode, offset, length)


def flush(fd: int) -> None:
    """Report what a source reports on close(2): network file systems tell of failed writes only then."""
    os.close(os.dup(fd))


def fsync(fd: int, *, data_only: bool) -> None:
    """Write an open file to disk."""
    if data_only:
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def _open(dirfd: int, name: bytes, flags: int) -> int:
    if name:
        return openat(dirfd, name, flags)
    return os.open(self_path(dirfd), flags)


def _regular(fd: int, mount: Mount, flags: int, name: bytes) -> FileHandle:
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):
        return FileHandle(fd, mount, flags, status)
    os.close(fd)
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), name)
