"""What the host does to sources that are in use, for those who follow the feed.

A source is watched while somebody follows changes of it, and a little longer: a page that is loaded again should not
cost another walk. Everything that takes long happens on a thread of its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Iterable
from functools import partial
from typing import Final

from volfuse.core.feed import ChangeKind, Entry, Selection, Through
from volfuse.core.watching import WatchEvent, What
from volfuse.engine.attribution import Attribution
from volfuse.engine.changefeed import ChangeFeed
from volfuse.errors import Unavailable
from volfuse.fs.source import Source
from volfuse.fs.view import Mount, View
from volfuse.fs.viewtable import ViewTable
from volfuse.watch.directories import DirectoryWatcher
from volfuse.watch.polling import PolledSource
from volfuse.watch.tree import SourceTree

__all__ = ["Hosts"]

_log = logging.getLogger(__name__)

_READY_S: Final = 2.0
_LINGER_S: Final = 5.0
_DIRECTORIES: Final = 100_000
"""In one source: more are looked at now and then instead."""

_Watched = SourceTree | PolledSource


class Hosts:
    """Watches sources while they are followed; a context manager that ends it."""

    def __init__(
        self,
        table: ViewTable,
        feed: ChangeFeed,
        watcher: DirectoryWatcher,
        attribution: Attribution,
        directories: int = _DIRECTORIES,
        *,
        linger_s: float = _LINGER_S,
    ) -> None:
        self._table = table
        self._feed = feed
        self._watcher = watcher
        self._attribution = attribution
        self._directories = directories
        self._linger_s = linger_s
        self._lock = threading.Condition()
        self._wanted: list[Selection] = []  # guarded by self._lock
        self._asked = 0  # how often the sources to watch may have become others; guarded by self._lock
        self._done = 0  # up to which of these they are watched; guarded by self._lock
        self._ended = False  # guarded by self._lock
        self._watched: dict[Source, _Watched] = {}  # changed by the thread; guarded by self._lock
        self._changed: dict[Source, _ChangedPaths] = {}  # of those that are polled; the thread's own
        self._refused: dict[Source, str] = {}  # why they are polled, kept while they are in use; by self._lock
        self._thread = threading.Thread(target=self._run, name="volfuse-hosts", daemon=True)

    def follow(self, wanted: Selection) -> None:
        """Begin to watch what is wanted, and wait a little until it is."""
        with self._lock:
            self._wanted.append(wanted)
            asked = self._renew()
            self._lock.wait_for(lambda: self._done >= asked or self._ended, _READY_S)

    def unfollow(self, wanted: Selection) -> None:
        """Take `follow` back."""
        with self._lock:
            self._wanted.remove(wanted)
            self._renew()

    def refusals(self) -> list[str]:
        """Return which sources are polled, and why; for the doctor."""
        with self._lock:
            return [f"{_shown(source, self._table)}: {reason}" for source, reason in self._refused.items()]

    def names_changed(self, _name: bytes, _before: View | None, _now: View | None) -> None:
        """See whether other sources are in use."""
        with self._lock:
            if self._wanted:
                self._renew()

    def contents_changed(self, view: View, paths: Collection[bytes]) -> None:
        """Do nothing: that is a private tree."""

    def __enter__(self) -> Hosts:
        self._table.subscribe(self)
        self._watcher.after_batch = self._tell
        self._feed.hosts = self
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._feed.hosts = None
        self._table.unsubscribe(self)
        with self._lock:
            self._ended = True
            self._lock.notify_all()
        self._thread.join()

    def _renew(self) -> int:
        """Have the thread look again which sources to watch; return a number for that. Called with the lock held."""
        self._asked += 1
        self._lock.notify_all()
        return self._asked

    # The thread.

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._asked > self._done or self._ended)
                if not self._wanted:
                    self._lock.wait_for(lambda: self._ended or bool(self._wanted), self._linger_s)
                if self._ended:
                    break
                asked, wanted = self._asked, list(self._wanted)
            self._update(_sources(self._table, wanted))
            with self._lock:
                self._done = asked
                self._lock.notify_all()
        for source in list(self._watched):
            self._stop(source)

    def _update(self, sources: dict[Source, Through]) -> None:
        for source in [source for source in self._watched if source not in sources]:
            self._stop(source)
        with self._lock:
            self._refused = {source: reason for source, reason in self._refused.items() if source in sources}
        for source, through in sources.items():
            if source not in self._watched:
                try:
                    self._start(source, through)
                except Exception:  # noqa: BLE001 (one bad source keeps no other from being watched)
                    _log.exception("cannot watch %s", _place(through))

    def _start(self, source: Source, through: Through) -> None:
        if source in self._refused:
            self._poll(source, through)
            return
        ended = partial(self._ended_tree, through)
        tree = SourceTree(through, source.fd, self._watcher, self._scanned, ended, self._directories)
        with self._lock:
            self._watched[source] = tree
        try:
            tree.start()
        except Unavailable as exc:
            self._stop(source)
            with self._lock:
                self._refused[source] = str(exc)
            _complain(through, str(exc))
            self._poll(source, through)

    def _poll(self, source: Source, through: Through) -> None:
        changed = self._changed[source] = _ChangedPaths(through, self._attribution)
        self._feed.observe(changed)
        polled = PolledSource(through, source.fd, self._feed.add, changed.take)
        polled.start()
        with self._lock:
            self._watched[source] = polled

    def _stop(self, source: Source) -> None:
        with self._lock:
            watched = self._watched.pop(source)
        watched.close()
        changed = self._changed.pop(source, None)
        if changed is not None:
            self._feed.unobserve(changed)

    # The watcher's thread.

    def _tell(self, quiet: bool) -> None:
        entries: list[Entry] = []
        for watched in list(self._watched.values()):
            if isinstance(watched, SourceTree):
                entries += watched.take(quiet=quiet)
        if entries:
            self._feed.add(entries)

    def _scanned(self, directory: bytes, name: bytes) -> object | None:
        self._attribution.catch_up()
        event = self._attribution.author(directory, WatchEvent(name, int(What.CREATE)))
        return event.author if event is not None else None

    def _ended_tree(self, through: Through, reason: str, again: bool) -> None:
        """Begin anew, or poll, since a tree has stopped. Nothing here keeps the source open."""
        now_ns = time.time_ns()
        detail = reason.encode(errors="replace")
        self._feed.add([(now_ns, ChangeKind.LOST, through, b"", b"", b"", None, -1, -1, -1, b"", -1, -1, detail)])
        with self._lock:
            source = next((source for source, watched in self._watched.items() if watched.through is through), None)
            if source is not None:
                del self._watched[source]
                if not again:
                    self._refused[source] = reason
            self._renew()
        if not again:
            _complain(through, reason)


class _ChangedPaths:
    """The paths in one source that views have changed lately."""

    def __init__(self, through: Through, attribution: Attribution) -> None:
        self._through = through
        self._attribution = attribution
        self._paths: set[bytes] = set()  # guarded by the feed's lock

    def __call__(self, entries: Iterable[Entry]) -> None:
        """Hear what views have done."""
        for entry in entries:
            through = entry[2]
            if through.source == self._through.source:
                for rel in (entry[4], entry[6]):
                    if rel is not None:
                        self._paths.add(_relative(through.path(rel), self._through.below))

    def take(self) -> set[bytes]:
        """Return the paths since the last call, those of changes under way too."""
        self._attribution.catch_up()
        taken, self._paths = self._paths, set()
        return taken


def _relative(path: bytes, below: bytes) -> bytes:
    return path.removeprefix(below + b"/") if below else path


def _sources(table: ViewTable, wanted: Iterable[Selection]) -> dict[Source, Through]:
    """Return the directories that are mounted in views and followed, each with what records of it say."""
    found: dict[Source, Through] = {}
    for view in table.views():
        for mount in view.mounts:
            source = mount.source
            if not mount.private and isinstance(source, Source) and source.is_directory and _is_wanted(mount, wanted):
                through = mount.through
                found.setdefault(source, Through("", through.volume, through.source, through.below))
    return found


def _is_wanted(mount: Mount, wanted: Iterable[Selection]) -> bool:
    return any(not chosen.container and chosen.is_in(mount.through) for chosen in wanted)


def _complain(through: Through, reason: str) -> None:
    _log.warning("%s is looked at now and then, since it cannot be watched: %s", _place(through), reason)


def _place(through: Through) -> str:
    return f"volume {through.volume}" if through.volume else through.source.decode(errors="replace")


def _shown(source: Source, table: ViewTable) -> str:
    with contextlib.suppress(StopIteration):
        return _place(next(m.through for view in table.views() for m in view.mounts if m.source is source))
    return "a source"
