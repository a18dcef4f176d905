"""The change feed as it runs: takes what transports log, numbers it, and tells those who read.

While nobody reads, a thread takes from the log a few times a second, so that a change costs its request an append and
no more. While somebody does, it only wakes who reads, after a pause: as long as changes come, readers look for
themselves, since each thread that is woken takes the interpreter from those who serve requests.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Self

from volfuse.core.echoes import Echoes
from volfuse.core.feed import Change, Cursor, Entry, Gap, Ring, Selection
from volfuse.engine.ports import HostListener
from volfuse.fs.view import View
from volfuse.fs.viewtable import ViewTable

__all__ = ["KEPT", "LINGER_S", "ChangeFeed"]

_log = logging.getLogger(__name__)

KEPT: Final = 1 << 16
"""Changes that are kept: some 25 MB when their paths are of usual length."""
_UNREAD_S: Final = 0.1
LINGER_S: Final = 0.05
"""How long after the last change readers may be woken late."""
_GONE: Final = 4096
"""Names of removed containers that are remembered."""


class ChangeFeed:
    """Numbers and keeps the last changes; a context manager that runs its thread. For all threads.

    Attributes:
        ended: nothing more will come.
        hosts: who hears what the host does, if anybody can.
        lock: guards the feed and the echoes that it hands changes on to.

    Args:
        table: the views whose changes these are.
        incarnation: letters and digits that no other run of the daemon has.
    """

    def __init__(self, table: ViewTable, incarnation: str, kept: int = KEPT) -> None:
        self._log = table.changes
        self._table = table
        self.lock = threading.Lock()
        self._echoes: Echoes | None = None  # guarded by self.lock
        self._ring = Ring(incarnation, kept, self._name)  # guarded by self.lock
        self._observers: tuple[Callable[[Iterable[Entry]], None], ...] = ()  # replaced under self.lock
        self.hosts: HostListener | None = None
        self._wakes: tuple[Callable[[], None], ...] = ()  # replaced under self.lock
        self._names: dict[str, str] = {}
        self._hurry = threading.Event()
        self._taken_s = 0.0
        self.ended = False
        self._thread = threading.Thread(target=self._run, name="volfuse-feed", daemon=True)

    @property
    def incarnation(self) -> str:
        """What cursors of this run begin with."""
        return self._ring.incarnation

    @property
    def end(self) -> Cursor:
        """The place after the last change."""
        self.catch_up()
        return self._ring.end

    def after(self, cursor: Cursor, limit: int) -> tuple[Gap | None, Sequence[Change], Cursor]:
        """See `core.feed.Ring.after`; what has been logged before is in it."""
        self.catch_up()
        with self.lock:
            return self._ring.after(cursor, limit)

    def goes_on(self, cursor: Cursor) -> bool:
        """Say whether there may be something after a place; costs next to nothing."""
        return bool(self._log) or cursor != self._ring.end

    def since(self, time_ns: int) -> Cursor:
        """See `core.feed.Ring.since`."""
        self.catch_up()
        with self.lock:
            return self._ring.since(time_ns)

    def latest(self, wanted: Callable[[Change], bool], limit: int) -> list[Change]:
        """Return the youngest changes that are wanted, oldest of them first."""
        self.catch_up()
        with self.lock:
            kept = list(self._ring.backwards())
        found = []
        for change in kept:
            if wanted(change):
                found.append(change)
                if len(found) == limit:
                    break
        return found[::-1]

    @contextmanager
    def reading(self, wake: Callable[[], None], wanted: Selection | None = None) -> Iterator[None]:
        """Call `wake` after something has come, during the block: on any thread, so it must be quick.

        In the beginning, and where changes have been taken lately, it may come late, by `LINGER_S`: a reader who wants
        to know at once looks for itself that long.

        Args:
            wanted: hear of the host's changes there too. Entering the block then waits a moment until that is so.
        """
        with self.lock:
            self._wakes = (*self._wakes, wake)
        self._hurry.set()
        try:
            if wanted is None or self.hosts is None:
                yield
                return
            hosts = self.hosts
            hosts.follow(wanted)
            try:
                yield
            finally:
                hosts.unfollow(wanted)
        finally:
            with self.lock:
                self._wakes = tuple(other for other in self._wakes if other is not wake)

    def observe(self, observer: Callable[[Iterable[Entry]], None]) -> None:
        """Call `observer` with all that views do, with the lock held."""
        with self.lock:
            self._observers = (*self._observers, observer)

    def unobserve(self, observer: Callable[[Iterable[Entry]], None]) -> None:
        """Take `observe` back."""
        with self.lock:
            self._observers = tuple(other for other in self._observers if other is not observer)

    def catch_up(self) -> list[Entry]:
        """Take what has been logged; return it."""
        with self.lock:
            taken = self._log.take()
            self._ring.extend(taken)
            if self._echoes is not None:
                self._hand_on(self._echoes, taken)
            for observer in self._observers:
                observer(taken)
        if taken:
            self._taken_s = time.monotonic()
            self._tell()
        return taken

    def listening(self, echoes: Echoes | None) -> None:
        """Hand all that is published on from now, or no more."""
        with self.lock:
            if echoes is self._echoes:
                return
            self._echoes = echoes
            self._log.heard = echoes is not None
            self._log.take_closings()

    def add(self, entries: Collection[Entry]) -> None:
        """Add what the host did."""
        with self.lock:
            self._ring.extend(entries)
        self._tell()

    def names_changed(self, _name: bytes, before: View | None, now: View | None) -> None:
        """Keep the names of containers, also of those that are gone."""
        if now is None:
            return
        if before is None and len(self._names) >= _GONE:
            shown = {view.container for view in self._table.views()}
            self._names = {container: name for container, name in self._names.items() if container in shown}
        self._names[now.container] = now.name

    def contents_changed(self, view: View, paths: object) -> None:
        """Do nothing: that is a private tree."""

    def end_readers(self) -> None:
        """Tell all who read that nothing more will come."""
        self.ended = True
        self._tell()

    def close(self) -> None:
        """End the thread."""
        self.end_readers()
        self._hurry.set()
        self._log.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._table.unsubscribe(self)

    def __enter__(self) -> Self:
        for view in self._table.views():
            self._names[view.container] = view.name
        self._table.subscribe(self)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hand_on(self, echoes: Echoes, taken: Iterable[Entry]) -> None:
        for entry in taken:
            echoes.published(entry)
        for closing in self._log.take_closings():
            echoes.closed(closing)

    def _name(self, container: str) -> str:
        return self._names.get(container, container)

    def _tell(self) -> None:
        for wake in self._wakes:
            wake()

    def _run(self) -> None:
        while not self.ended:
            if self._wakes and time.monotonic() - self._taken_s < LINGER_S:
                self._hurry.wait(LINGER_S / 2)
                self._hurry.clear()
                continue
            self._log.wait()
            try:
                if self._wakes:
                    self._taken_s = time.monotonic()
                    self._tell()
                else:
                    self.catch_up()
            except Exception:  # noqa: BLE001 (the thread's edge)
                _log.exception("the change feed failed")
            self._hurry.clear()
            if not self._wakes and not self.ended:
                self._hurry.wait(_UNREAD_S)
