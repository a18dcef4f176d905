"""Locks: taken on the source, so that views and host see each other's; waiting without a thread.

A lock that is not free is not waited for in a system call: the request is parked, and one thread tries all parked ones
again when a lock was given up here, and every few milliseconds, since the host does not tell. So any number of waiters
holds no reader, and INTERRUPT ends a wait at once.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from volfuse.fs.locks import Lockable, LockTable
from volfuse.sys.filelock import RecordLock
from volfuse.transport.base import Failures
from volfuse.transport.kernel.wire.encoding import error

__all__ = ["Locks"]

_log = logging.getLogger(__name__)

_RETRY_S: Final = 0.01
_BUSY = frozenset({errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK})


@dataclass(frozen=True, slots=True)
class _Parked:
    """A request that waits for a lock.

    Attributes:
        attempt: tries once, without waiting.
        give_back: undoes the attempt, for a reply that nobody takes any more.
    """

    unique: int
    attempt: Callable[[], None]
    give_back: Callable[[], None]


class Locks:
    """Record locks and flock of one session.

    Args:
        send: writes a reply to the device.
    """

    def __init__(self, send: Callable[[bytes], None], failures: Failures) -> None:
        self._table = LockTable()
        self._send = send
        self._failures = failures
        self._changed = threading.Condition()
        self._parked: dict[int, _Parked] = {}  # guarded by self._changed
        self._kicked = False  # guarded by self._changed
        self._closed = False  # guarded by self._changed
        self._retrying: threading.Thread | None = None  # guarded by self._changed

    def __len__(self) -> int:
        return len(self._table) + len(self._parked)

    def held(self, file: Lockable) -> bool:
        """Say whether any record lock may be held on a file."""
        return len(self._table) > 0 and self._table.holds(file)

    def get(self, file: Lockable, owner: int, lock: RecordLock) -> RecordLock:
        """Return a lock that stands in the way, or one of kind F_UNLCK."""
        return self._table.get(file, owner, lock)

    def set(self, file: Lockable, owner: int, lock: RecordLock) -> None:
        """Take or give up a range without waiting."""
        self._table.set(file, owner, lock, wait=False)
        self.retry()

    def flock(self, file: Lockable, operation: int) -> None:
        """Lock the whole file without waiting."""
        self._table.flock(file, operation | fcntl.LOCK_NB)
        self.retry()

    def wait_set(self, unique: int, file: Lockable, owner: int, lock: RecordLock) -> bool:
        """Take a range; if it is not free, answer request `unique` later and return false."""
        unlock = RecordLock(fcntl.F_UNLCK, lock.start, lock.length)
        return self._attempt(
            _Parked(
                unique,
                lambda: self._table.set(file, owner, lock, wait=False),
                lambda: self._table.set(file, owner, unlock, wait=False),
            )
        )

    def wait_flock(self, unique: int, file: Lockable, operation: int) -> bool:
        """Lock the whole file; if it is not free, answer request `unique` later and return false."""
        return self._attempt(
            _Parked(
                unique,
                lambda: self._table.flock(file, operation | fcntl.LOCK_NB),
                lambda: self._table.flock(file, fcntl.LOCK_UN),
            )
        )

    def interrupt(self, unique: int) -> None:
        """End the wait of a request with EINTR, if it waits."""
        with self._changed:
            parked = self._parked.pop(unique, None)
        if parked is not None:
            self._answer(parked, errno.EINTR)

    def release_owner(self, file: Lockable, owner: int) -> None:
        """Give up all that a process holds on a file."""
        if len(self._table):
            self._table.release_owner(file, owner)
            self.retry()

    def release_handle(self, file: Lockable) -> None:
        """Give up what was locked through an open file that has been closed."""
        self._table.release_handle(file)
        self.retry()

    def retry(self) -> None:
        """Let the waiters try again: something was given up."""
        if self._parked:
            with self._changed:
                self._kicked = True
                self._changed.notify()

    def close(self) -> None:
        """End all waits and give up all locks."""
        with self._changed:
            self._closed = True
            thread = self._retrying
            self._parked.clear()
            self._changed.notify()
        if thread is not None:
            thread.join()
        self._table.close_all()

    def _attempt(self, parked: _Parked) -> bool:
        try:
            parked.attempt()
        except OSError as exc:
            if exc.errno not in _BUSY:
                raise
        else:
            return True
        with self._changed:
            self._parked[parked.unique] = parked
            self._kicked = True
            if self._retrying is None:
                self._retrying = threading.Thread(target=self._run, name="volfuse-locks", daemon=True)
                self._retrying.start()
            self._changed.notify()
        return False

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._kicked:
                    self._changed.wait(_RETRY_S if self._parked else None)
                self._kicked = False
                if self._closed:
                    return
                waiting = list(self._parked.values())
            for parked in waiting:
                self._try(parked)

    def _try(self, parked: _Parked) -> None:
        number = 0
        try:
            parked.attempt()
        except OSError as exc:
            if exc.errno in _BUSY:
                return
            number = exc.errno or errno.EIO
        except Exception as exc:  # noqa: BLE001 (the boundary of a request)
            number = self._failures.errno_of("SETLKW", exc)
        with self._changed:
            still_waits = self._parked.pop(parked.unique, None) is not None
        if still_waits:
            self._answer(parked, number)
        elif not number:
            parked.give_back()

    def _answer(self, parked: _Parked, number: int) -> None:
        try:
            self._send(error(parked.unique, number))
        except OSError as exc:
            if exc.errno == errno.ENOENT and not number:
                parked.give_back()
            elif exc.errno not in (errno.ENOENT, errno.ENODEV, errno.ECONNABORTED):
                _log.error("answering a lock request failed: %s", exc)
