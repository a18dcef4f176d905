"""The directory watcher: one inotify instance and one thread for all source directories that anybody watches.

The first event after a pause is told at once. While events keep coming they are read in batches a millisecond apart:
the thread shares its interpreter with those that serve files, and the kernel merges equal neighbours meanwhile.

Lock order: `_lock` is innermost; listeners are called without it.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import threading
import time
from collections.abc import Iterable
from typing import Final, Protocol

from volfuse.core.watching import CHANGES, WatchEvent, What, directory_identity
from volfuse.errors import Unavailable
from volfuse.fs.watching import Listener
from volfuse.sys import inotify

__all__ = ["Attribution", "DirectoryWatcher", "Everybody"]

_log = logging.getLogger(__name__)

_READ_BYTES: Final = 1 << 16
_LONGEST_BYTES: Final = 16 + 256
_PAUSE_S: Final = 0.001


class Attribution(Protocol):
    """Knows which events are echoes of what was done through views."""

    def settle(self) -> None:
        """Return when all is known that may have caused an event which has been read."""
        ...

    def author(self, directory: bytes, event: WatchEvent) -> WatchEvent | None:
        """Return the event with its author; None if it only repeats another."""
        ...

    def settled(self) -> None:
        """Hear that all events have been told which were there before the last `settle`."""
        ...


class Everybody:
    """The attribution of a watcher that need not know who did something."""

    def settle(self) -> None:
        """Do nothing."""

    def author(self, _directory: bytes, event: WatchEvent) -> WatchEvent:
        """Return the event."""
        return event

    def settled(self) -> None:
        """Do nothing."""


class _Watched:
    """One directory: its identity, and who wants to hear."""

    __slots__ = ("directory", "listeners")

    def __init__(self, directory: bytes) -> None:
        self.directory = directory
        self.listeners: tuple[_Watch, ...] = ()


class _Watch:
    """A listener's part of a watched directory."""

    __slots__ = ("_watcher", "listener", "wd")

    def __init__(self, watcher: DirectoryWatcher, wd: int, listener: Listener) -> None:
        self._watcher = watcher
        self.wd = wd
        self.listener = listener

    def close(self) -> None:
        """Stop."""
        self._watcher._remove(self)


class DirectoryWatcher:
    """Watches directories; a context manager that ends the thread. Nothing is opened before the first watch.

    Args:
        attribution: who did what.
    """

    def __init__(self, attribution: Attribution | None = None) -> None:
        self._attribution = attribution or Everybody()
        self._lock = threading.Lock()
        self._watched: dict[int, _Watched] = {}  # by watch descriptor; guarded by self._lock
        self._fd = -1  # guarded by self._lock
        self._stop_fd = -1
        self._thread: threading.Thread | None = None  # guarded by self._lock
        self._ended = ""  # why there will be no more events; guarded by self._lock

    def __len__(self) -> int:
        """Return how many directories are watched."""
        return len(self._watched)

    def watch(self, directory_fd: int, listener: Listener, what: int = CHANGES) -> _Watch:
        """See `fs.watching.SourceWatcher`."""
        status = os.stat(directory_fd)
        identity = directory_identity(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
        with self._lock:
            if self._ended:
                raise Unavailable(self._ended)
            self._start()
            wd = inotify.add_watch(self._fd, directory_fd, what | inotify.IN_MASK_ADD)
            watched = self._watched.get(wd)
            if watched is None:
                watched = self._watched[wd] = _Watched(identity)
            watch = _Watch(self, wd, listener)
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
            if not watched.listeners:
                del self._watched[watch.wd]
                if self._thread is not None:
                    inotify.remove_watch(self._fd, watch.wd)

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
        last = 0.0
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if self._stop_fd in ready:
                return
            if time.monotonic() - last < 2 * _PAUSE_S:
                time.sleep(_PAUSE_S)
            self._read()
            last = time.monotonic()

    def _read(self) -> None:
        """Read what there is, and tell it."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except OSError as exc:
            if exc.errno in (errno.EAGAIN, errno.EINTR):
                return
            raise
        self._attribution.settle()
        self._tell(inotify.events(data))
        if len(data) < _READ_BYTES - _LONGEST_BYTES:
            self._attribution.settled()

    def _tell(self, events: Iterable[tuple[int, int, int, bytes]]) -> None:
        for wd, mask, cookie, name in events:
            if mask & What.OVERFLOW:
                _log.warning("events of source directories were lost: more came than the kernel keeps")
                self._lost("events were lost: more came than the kernel keeps (fs.inotify.max_queued_events)")
                continue
            watched = self._watched.get(wd) or self._just_added(wd)
            if watched is None:
                continue
            event = self._attribution.author(watched.directory, WatchEvent(name, mask, cookie))
            if event is not None:
                for watch in watched.listeners:
                    watch.listener.happened(event)
            if mask & What.IGNORED:
                with self._lock:
                    self._watched.pop(wd, None)

    def _just_added(self, wd: int) -> _Watched | None:
        """Look again when nobody is adding a watch: the first event may come before the watch is entered."""
        with self._lock:
            return self._watched.get(wd)

    def _lost(self, reason: str) -> None:
        with self._lock:
            listeners = [watch.listener for watched in self._watched.values() for watch in watched.listeners]
        for listener in listeners:
            listener.lost(reason)
