"""Record locks of many owners, held on the source's files.

A lock taken through one view must stop a program in another view and one on the host that locks the source itself. So
each owner (a process, as the kernel numbers it) gets a descriptor of its own on each file it locks, and its locks are
open file description locks there. Closing that descriptor gives them up, which is what POSIX wants when the owner
closes the file.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Protocol

from volfuse.fs.descriptors import self_path
from volfuse.sys.filelock import RecordLock, flock, get_record_lock, set_record_lock

__all__ = ["LockTable", "Lockable"]

_Key = tuple[Hashable, int]
"""Identity of the file, owner."""


class Lockable(Protocol):
    """An open file.

    Attributes:
        fd: in the source.
        identity: the same for all that are open on one file.
        readonly: it is shown on a read-only mount.
    """

    @property
    def fd(self) -> int: ...

    @property
    def identity(self) -> Hashable: ...

    @property
    def readonly(self) -> bool: ...


class _OwnersFile:
    """A file opened for one owner's locks; closed with the last reference, as a thread may wait for a lock on it."""

    __slots__ = ("fd", "opened_by")

    def __init__(self, handle: Lockable) -> None:
        self.fd = _open_for_locks(handle)
        self.opened_by = handle

    def __del__(self) -> None:
        os.close(self.fd)


class LockTable:
    """All locks of one transport.

    Attributes:
        waiting: threads (`threading.get_ident`) that wait for a lock; a signal ends the wait with EINTR.
    """

    def __init__(self) -> None:
        self.waiting: set[int] = set()
        self._lock = threading.Lock()
        self._files: dict[_Key, _OwnersFile] = {}  # guarded by self._lock

    def __len__(self) -> int:
        return len(self._files)

    def set(self, handle: Lockable, owner: int, lock: RecordLock, *, wait: bool) -> None:
        """Take or give up a range.

        Raises:
            OSError: EAGAIN if another has it and `wait` is false; EINTR if a signal ended the wait.
        """
        file = self._file(handle, owner, create=lock.kind != fcntl.F_UNLCK)
        if file is None:
            return
        with self._waits() if wait else _nothing():
            set_record_lock(file.fd, lock, wait=wait)

    def get(self, handle: Lockable, owner: int, lock: RecordLock) -> RecordLock:
        """Return a lock of another owner, view or host process that stands in the way, or one of kind F_UNLCK."""
        file = self._file(handle, owner, create=False) or _OwnersFile(handle)
        return get_record_lock(file.fd, lock)

    def flock(self, handle: Lockable, operation: int) -> None:
        """Lock the whole file for the open file: its descriptor in the source is just that."""
        with _nothing() if operation & fcntl.LOCK_NB else self._waits():
            flock(handle.fd, operation)

    def holds(self, handle: Lockable) -> bool:
        """Say whether any owner has, or had, a record lock on the file and has not closed it since."""
        identity = handle.identity
        with self._lock:
            return any(key[0] == identity for key in self._files)

    def release_owner(self, handle: Lockable, owner: int) -> None:
        """Give up all that `owner` holds on the file, as close(2) of any descriptor of it does."""
        if not self._files:
            return
        with self._lock:
            self._files.pop((handle.identity, owner), None)

    def release_handle(self, handle: Lockable) -> None:
        """Give up what was locked through an open file that is now closed for good."""
        if not self._files:
            return
        with self._lock:
            for key in [key for key, file in self._files.items() if file.opened_by is handle]:
                del self._files[key]

    def close_all(self) -> None:
        """Give up everything."""
        with self._lock:
            self._files.clear()

    def _file(self, handle: Lockable, owner: int, *, create: bool) -> _OwnersFile | None:
        key = (handle.identity, owner)
        with self._lock:
            found = self._files.get(key)
            if found is None and create:
                found = self._files[key] = _OwnersFile(handle)
            return found

    @contextmanager
    def _waits(self) -> Iterator[None]:
        ident = threading.get_ident()
        self.waiting.add(ident)
        try:
            yield
        finally:
            self.waiting.discard(ident)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _open_for_locks(handle: Lockable) -> int:
    """Open the file once more, for writing if possible: a write lock needs that, and later ones join earlier ones."""
    path = self_path(handle.fd)
    if not handle.readonly:
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            # Not ours to write, a program being run, or a read-only file system: a read lock is all that can be asked.
            pass
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
