"""Copying directory trees, relative to descriptors.

Used for copy-up (Docker fills an empty volume from the image) and for private trees where the kernel has no overlay.
Links are never followed. Memory and open descriptors stay bounded however deep a tree is: a few levels are held open,
and a way back up is opened as `..` and checked to be the directory that was left. A directory's files are copied while
it is listed; only the names of its sub-directories are kept.

Without privilege the copy belongs to the caller: other owners, and the set-id bits of files that would change their
meaning with the owner, are not kept (as `cp -a` does); the caller's own files that deny him reading are copied all the
same. With privilege every failure is an error.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from volfuse.fs.metadata import finish_name, finish_open_file
from volfuse.fs.unlocked import DIRECTORY, PATH, chmod_at, denied
from volfuse.sys.owned import owned
from volfuse.sys.reflink import clone_file

__all__ = ["copy_tree"]

_OPEN_LEVELS = 32
_COPY_CHUNK_BYTES = 1 << 30
_READ_CHUNK_BYTES = 1 << 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_COPY_RANGE = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})


def copy_tree(source_dirfd: int, target_dirfd: int, *, root_metadata: bool = True) -> None:
    """Copy everything below one directory into another that is empty.

    Owner, mode, times (ns), xattrs and ACLs are kept, and so are hard links inside the tree, links verbatim, FIFOs,
    sockets, devices and holes. Data is shared where the file system can (FICLONE), else copied by the kernel.

    Args:
        source_dirfd: the directory to read; OPATH will do. Not closed.
        target_dirfd: an empty directory; OPATH will do. Not closed.
        root_metadata: give the target the source's own owner, mode, times and xattrs too.

    Raises:
        OSError: with the path below the root as filename. What was copied till then stays.
    """
    with (
        contextlib.closing(_Copy(target_dirfd)) as copy,
        owned(os.open(b".", DIRECTORY, dir_fd=source_dirfd)) as source_fd,
        owned(os.open(b".", DIRECTORY, dir_fd=target_dirfd)) as target_fd,
    ):
        before = os.fstat(source_fd)
        copy.run(source_fd, target_fd)
        if root_metadata:
            finish_open_file(source_fd, target_fd, before)


@dataclass(slots=True)
class _Level:
    """One directory on the way down: its two descriptors (-1 while closed) and what is left to do in it."""

    name: bytes
    source_fd: int
    target_fd: int
    before: os.stat_result
    unlocked: bool = False
    source_id: tuple[int, int] = (0, 0)
    target_id: tuple[int, int] = (0, 0)
    pending: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source_id = _identity(os.fstat(self.source_fd))
        self.target_id = _identity(os.fstat(self.target_fd))

    def close(self) -> None:
        for fd in (self.source_fd, self.target_fd):
            if fd >= 0:
                os.close(fd)
        self.source_fd = self.target_fd = -1


@dataclass(slots=True)
class _Linked:
    """Where the first name of a file with several was copied to, and how many are still to come."""

    path: tuple[bytes, ...]
    left: int


class _Copy:
    """State of one copy_tree."""

    def __init__(self, target_root_fd: int) -> None:
        self._target_root_fd = target_root_fd
        self._levels: list[_Level] = []
        self._linked: dict[tuple[int, int], _Linked] = {}
        self._reflink = True
        self._copy_range = True

    def run(self, source_fd: int, target_fd: int) -> None:
        """Copy all entries; the root's own metadata is the caller's business."""
        root = _Level(b"", os.dup(source_fd), os.dup(target_fd), os.fstat(source_fd))
        self._levels.append(root)
        self._copy_entries(root)
        while True:
            level = self._levels[-1]
            if level.pending:
                self._descend(level.pending.pop())
            elif len(self._levels) > 1:
                self._ascend()
            else:
                return

    def close(self) -> None:
        """Close what an error left open, and give directories of the source their modes back."""
        for level in self._levels:
            if level.unlocked and level.source_fd >= 0:
                os.fchmod(level.source_fd, stat.S_IMODE(level.before.st_mode))
            level.close()

    def _descend(self, name: bytes) -> None:
        parent = self._levels[-1]
        with self._named(name):
            before = os.stat(name, dir_fd=parent.source_fd, follow_symlinks=False)
            unlocked = denied(before, 0o500)
            if unlocked:
                chmod_at(parent.source_fd, name, before.st_mode | 0o700)
            source_fd = os.open(name, DIRECTORY, dir_fd=parent.source_fd)
            try:
                os.mkdir(name, 0o700, dir_fd=parent.target_fd)
                target_fd = os.open(name, DIRECTORY, dir_fd=parent.target_fd)
            except OSError:
                os.close(source_fd)
                raise
        level = _Level(name, source_fd, target_fd, before, unlocked)
        self._levels.append(level)
        if len(self._levels) > _OPEN_LEVELS + 1:
            self._levels[-_OPEN_LEVELS - 1].close()
        self._copy_entries(level)

    def _ascend(self) -> None:
        level, parent = self._levels[-1], self._levels[-2]
        with self._named():
            if parent.source_fd < 0:
                parent.source_fd = _parent_of(level.source_fd, parent.source_id)
                parent.target_fd = _parent_of(level.target_fd, parent.target_id)
            if level.unlocked:
                os.fchmod(level.source_fd, stat.S_IMODE(level.before.st_mode))
            finish_open_file(level.source_fd, level.target_fd, level.before)
        self._levels.pop().close()

    def _copy_entries(self, level: _Level) -> None:
        with os.scandir(level.source_fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                with self._named(name):
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        level.pending.append(name)
                    elif found.st_nlink == 1 or not self._link(level, name, found):
                        self._copy_one(level, name, found)

    def _copy_one(self, level: _Level, name: bytes, found: os.stat_result) -> None:
        if stat.S_ISREG(found.st_mode):
            self._copy_file(level, name, found)
        elif stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(name, dir_fd=level.source_fd), name, dir_fd=level.target_fd)
            finish_name(level.source_fd, level.target_fd, name, found)
        else:
            os.mknod(name, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev, dir_fd=level.target_fd)
            finish_name(level.source_fd, level.target_fd, name, found)

    def _link(self, level: _Level, name: bytes, found: os.stat_result) -> bool:
        """Make `name` a link to the file's first copy; False if this is its first name."""
        key = _identity(found)
        first = self._linked.get(key)
        if first is None:
            here = (*(above.name for above in self._levels[1:]), name)
            self._linked[key] = _Linked(here, found.st_nlink - 1)
            return False
        with owned(_walk(self._target_root_fd, first.path[:-1])) as directory_fd:
            os.link(first.path[-1], name, src_dir_fd=directory_fd, dst_dir_fd=level.target_fd, follow_symlinks=False)
        first.left -= 1
        if first.left == 0:
            del self._linked[key]
        return True

    def _copy_file(self, level: _Level, name: bytes, found: os.stat_result) -> None:
        with (
            owned(_open_file(level.source_fd, name, found)) as source_fd,
            owned(os.open(name, _NEW_FILE, 0o600, dir_fd=level.target_fd)) as target_fd,
        ):
            self._copy_content(source_fd, target_fd, found.st_size)
            finish_open_file(source_fd, target_fd, found)

    def _copy_content(self, source_fd: int, target_fd: int, size: int) -> None:
        if size == 0:
            return
        if self._reflink:
            self._reflink = clone_file(source_fd, target_fd)
            if self._reflink:
                return
        os.ftruncate(target_fd, size)
        for start, end in _data_ranges(source_fd, size):
            self._copy_range_of(source_fd, target_fd, start, end)

    def _copy_range_of(self, source_fd: int, target_fd: int, start: int, end: int) -> None:
        while self._copy_range and start < end:
            try:
                count = os.copy_file_range(source_fd, target_fd, min(end - start, _COPY_CHUNK_BYTES), start, start)
            except OSError as exc:
                if exc.errno not in _NO_COPY_RANGE:
                    raise
                self._copy_range = False
            else:
                if count == 0:  # the file became shorter, or its file system cannot (procfs): the loop below knows
                    break
                start += count
        while start < end:
            chunk = os.pread(source_fd, min(end - start, _READ_CHUNK_BYTES), start)
            if not chunk:
                return
            start += _write_all(target_fd, chunk, start)

    @contextlib.contextmanager
    def _named(self, name: bytes | None = None) -> Iterator[None]:
        """Put the path below the root into an OSError."""
        try:
            yield
        except OSError as exc:
            components = [level.name for level in self._levels[1:]]
            exc.filename = b"/".join(components if name is None else [*components, name])
            exc.filename2 = None
            raise


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _parent_of(child_fd: int, expected: tuple[int, int]) -> int:
    fd = os.open(b"..", DIRECTORY, dir_fd=child_fd)
    if _identity(os.fstat(fd)) != expected:
        os.close(fd)
        raise OSError(errno.ESTALE, "directory was moved while it was copied")
    return fd


def _walk(root_fd: int, components: tuple[bytes, ...]) -> int:
    """Open a directory below `root_fd`, one name at a time: there may be more of them than PATH_MAX allows."""
    fd = os.open(b".", DIRECTORY, dir_fd=root_fd)
    for component in components:
        with owned(fd):
            fd = os.open(component, PATH | os.O_DIRECTORY, dir_fd=fd)
    return fd


def _data_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the start and end of what is not a hole. Where the file system cannot tell, that is all of it."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:  # only a hole is left
                return
            if exc.errno != errno.EINVAL:
                raise
            yield end, size
            return
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start < end:
            yield start, end


def _write_all(fd: int, chunk: bytes, offset: int) -> int:
    written = 0
    while written < len(chunk):
        written += os.pwrite(fd, memoryview(chunk)[written:], offset + written)
    return written


def _open_file(dirfd: int, name: bytes, found: os.stat_result) -> int:
    """Open a regular file for reading; what has taken its place since, a FIFO say, neither blocks nor is copied."""
    locked = denied(found, 0o400)
    if locked:
        chmod_at(dirfd, name, found.st_mode | 0o400)
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dirfd)
    finally:
        if locked:
            chmod_at(dirfd, name, found.st_mode)
    if _identity(os.fstat(fd)) != _identity(found):
        os.close(fd)
        raise OSError(errno.ESTALE, "file was replaced while it was copied")
    return fd
