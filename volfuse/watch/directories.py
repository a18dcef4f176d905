"""The directory watcher: one inotify instance and one thread for all source directories that anybody watches.

Events are read in batches some milliseconds apart: the thread shares its interpreter with those that serve files, and
the kernel merges equal neighbours meanwhile. Further apart while all who listen are patient.

Lock order: `_lock` is innermost; listeners are called without it.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from volfuse.core.watching import CHANGES, WatchEvent, What, identity
from volfuse.errors import Unavailable
from volfuse.fs.watching import Listener
from volfuse.sys import inotify
from volfuse.sys.inotify import events
from volfuse.sys.raw import read

__all__ = ["Attribution", "DirectoryWatcher", "Everybody"]

_log = logging.getLogger(__name__)

_READ_BYTES: Final = 1 << 16
_PAUSE_S: Final = 0.004
_PATIENT_PAUSE_S: Final = 0.01
_QUIET_MS: Final = 2
_WRITING: Final = int(What.MODIFY | What.CLOSE_WRITE)
# An IntFlag's own operators cost as much as all else that is done for an event.
_MOVED_FROM: Final = int(What.MOVED_FROM)
_MOVED_TO: Final = int(What.MOVED_TO)
_OVERFLOW: Final = int(What.OVERFLOW)
_IGNORED: Final = int(What.IGNORED)
_LATE: Final = 8
"""Last events that were read: the other half of a rename among them may be read next."""


_Raw = tuple[int, int, int, bytes]
"""Watch descriptor, mask, cookie, name."""


class Attribution(Protocol):
    """Knows which events are echoes of what was done through views."""

    def listening(self, on: bool) -> None:
        """Hear that directories are being watched, or that none is."""
        ...

    def settle(self, *, writing: bool) -> int:
        """Return when all is known that may have caused an event which has been read; a number for that.

        Args:
            writing: among them are events of files written or closed.
        """
        ...

    def author(self, directory: bytes, event: WatchEvent) -> WatchEvent | None:
        """Return the event with its author; None if it only repeats another."""
        ...

    def settled(self, mark: int) -> None:
        """Hear that all events have been told that were there when `settle` returned this number."""
        ...


class Everybody:
    """The attribution of a watcher that need not know who did something."""

    def listening(self, _on: bool) -> None:
        """Do nothing."""

    def settle(self, *, writing: bool) -> int:  # noqa: ARG002 (the signature of Attribution)
        """Return a number."""
        return 0

    def author(self, _directory: bytes, event: WatchEvent) -> WatchEvent:
        """Return the event."""
        return event

    def settled(self, _mark: int) -> None:
        """Do nothing."""


class _Watched:
    """One directory: its identity, and who wants to hear."""

    __slots__ = ("directory", "listeners")

    def __init__(self, directory: bytes) -> None:
        self.directory = directory
        self.listeners: tuple[_Watch, ...] = ()


class _Watch:
    """A listener's part of a watched directory."""

    __slots__ = ("_watcher", "listener", "patient", "wd")

    def __init__(self, watcher: DirectoryWatcher, wd: int, listener: Listener, patient: bool) -> None:
        self._watcher = watcher
        self.wd = wd
        self.listener = listener
        self.patient = patient

    def close(self) -> None:
        """Stop."""
        self._watcher._remove(self)


class DirectoryWatcher:
    """Watches directories; a context manager that ends the thread. Nothing is opened before the first watch.

    Args:
        attribution: who did what.
        at_once: the first event after a pause is told at once, in the way of its author's next request.

    Attributes:
        after_batch: called on the thread after all events that were read at once have been told; with true when
            nothing has come for a moment after something did.
    """

    def __init__(self, attribution: Attribution | None = None, *, at_once: bool = False) -> None:
        self._attribution = attribution or Everybody()
        self._at_once = at_once
        self._buffer = bytearray(_READ_BYTES)
        self._lock = threading.Lock()
        self._watched: dict[int, _Watched] = {}  # by watch descriptor; guarded by self._lock
        self._impatient = 0  # listeners that want to hear soon; guarded by self._lock
        self._fd = -1  # guarded by self._lock
        self._stop_fd = -1
        self._thread: threading.Thread | None = None  # guarded by self._lock
        self.after_batch: Callable[[bool], None] = _nothing
        self._ended = ""  # why there will be no more events; guarded by self._lock

    def __len__(self) -> int:
        """Return how many directories are watched."""
        return len(self._watched)

    def watch(self, directory_fd: int, listener: Listener, what: int = CHANGES, *, patient: bool = False) -> _Watch:
        """See `fs.watching.SourceWatcher`."""
        status = os.stat(directory_fd)
        directory = identity(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
        with self._lock:
            if self._ended:
                raise Unavailable(self._ended)
            self._start()
            wd = inotify.add_watch(self._fd, directory_fd, what | inotify.IN_MASK_ADD)
            watched = self._watched.get(wd)
            if watched is None:
                watched = self._watched[wd] = _Watched(directory)
            if len(self._watched) == 1:
                self._attribution.listening(True)
            watch = _Watch(self, wd, listener, patient)
            self._impatient += not patient
            watched.listeners = (*watched.listeners, watch)
            return watch

    def close(self) -> None:
        """End the thread. Listeners hear nothing any more. May be called twice."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._ended = self._ended or "the watcher has been closed"
        if thread is None:
            return
        os.eventfd_write(self._stop_fd, 1)
        thread.join()
        os.close(self._fd)
        os.close(self._stop_fd)
        self._watched.clear()

    def __enter__(self) -> DirectoryWatcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        """Open the instance and start the thread, once. Called with the lock held."""
        if self._thread is None:
            self._fd = inotify.open_instance()
            self._stop_fd = os.eventfd(0, os.EFD_CLOEXEC)
            self._thread = threading.Thread(target=self._run, name="volfuse-watch", daemon=True)
            self._thread.start()

    def _remove(self, watch: _Watch) -> None:
        with self._lock:
            watched = self._watched.get(watch.wd)
            if watched is None or watch not in watched.listeners:
                return
            watched.listeners = tuple(other for other in watched.listeners if other is not watch)
            self._impatient -= not watch.patient
            if not watched.listeners:
                self._forget(watch.wd)
                if self._thread is not None:
                    inotify.remove_watch(self._fd, watch.wd)

    def _forget(self, wd: int) -> None:
        """Take a directory out of the table. Called with the lock held."""
        watched = self._watched.pop(wd, None)
        if watched is None:
            return
        self._impatient -= sum(not watch.patient for watch in watched.listeners)
        if not self._watched:
            self._attribution.listening(False)

    def _run(self) -> None:
        try:
            self._read_on()
        except Exception:  # noqa: BLE001 (the thread's edge: nobody may go on trusting what it heard)
            _log.exception("watching source directories has ended")
            with self._lock:
                self._ended = "the watcher has failed: see the daemon's log"
            self._lost(self._ended)

    def _read_on(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.register(self._stop_fd, select.POLLIN)
        while self._thread is not None:
            raw = self._events()
            if raw:
                mark = self._take(raw, poll)
                if not poll.poll(0):
                    self._attribution.settled(mark)
            else:
                self.after_batch(True)
                poll.poll()
                if self._at_once:
                    continue
            # Not woken for each event: that is at once after it, when its author goes on to the next request.
            time.sleep(_PAUSE_S if self._impatient else _PATIENT_PAUSE_S)

    def _take(self, raw: list[_Raw], poll: select.poll) -> int:
        """Tell what has been read; return the attribution's number."""
        while any(mask & _MOVED_FROM for _, mask, _, _ in raw[-_LATE:]) and not _all_arrive(raw):
            # The other half of a rename is queued at once after this one, but perhaps not yet.
            if not any(fd == self._fd for fd, _ in poll.poll(_QUIET_MS)):
                break
            raw += self._events()
        mark = self._attribution.settle(writing=any(mask & _WRITING for _, mask, _, _ in raw))
        self._tell(raw)
        self.after_batch(False)
        return mark

    def _events(self) -> list[_Raw]:
        length = read(self._fd, self._buffer)
        if length >= 0:
            return events(self._buffer, length)
        if -length in (errno.EAGAIN, errno.EINTR):
            return []
        raise OSError(-length, os.strerror(-length))

    def _tell(self, raw: list[_Raw]) -> None:
        arriving = {cookie: wd for wd, mask, cookie, _ in raw if mask & _MOVED_TO}
        leaving: dict[int, int] = {}
        for wd, mask, cookie, name in raw:
            halves = arriving if mask & _MOVED_FROM else leaving
            other = self._watched.get(halves.get(cookie, -1)) if cookie else None
            if mask & _MOVED_FROM:
                leaving[cookie] = wd
            if other is None:
                cookie = 0
            if mask & _OVERFLOW:
                _log.warning("events of source directories were lost: more came than the kernel keeps")
                self._lost("events were lost: more came than the kernel keeps (fs.inotify.max_queued_events)")
                continue
            watched = self._watched.get(wd) or self._just_added(wd)
            if watched is None:
                continue
            event = self._attribution.author(watched.directory, _event(name, mask, cookie, other))
            if event is not None:
                for watch in watched.listeners:
                    watch.listener.happened(event)
            if mask & _IGNORED:
                with self._lock:
                    self._forget(wd)

    def _just_added(self, wd: int) -> _Watched | None:
        """Look again when nobody is adding a watch: the first event may come before the watch is entered."""
        with self._lock:
            return self._watched.get(wd)

    def _lost(self, reason: str) -> None:
        with self._lock:
            listeners = [watch.listener for watched in self._watched.values() for watch in watched.listeners]
        for listener in listeners:
            listener.lost(reason)


def _all_arrive(raw: list[_Raw]) -> bool:
    """Say whether all renames that begin among events end among them."""
    begun = {cookie for _, mask, cookie, _ in raw if mask & _MOVED_FROM}
    return begun <= {cookie for _, mask, cookie, _ in raw if mask & _MOVED_TO}


def _event(name: bytes, mask: int, cookie: int, other: _Watched | None) -> WatchEvent:
    return WatchEvent(name, mask, cookie, None, other.directory if other is not None else b"")


def _nothing(_quiet: bool) -> None:
    """Do nothing after a batch."""
