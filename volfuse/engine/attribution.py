"""Who did what a watched directory tells: what transports have published, matched with what comes back from sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from volfuse.core.echoes import Echoes
from volfuse.core.watching import WatchEvent
from volfuse.engine.changefeed import ChangeFeed

__all__ = ["Attribution", "OpenWriters"]

OpenWriters = Mapping[tuple[bytes, bytes], Sequence[object]]
"""By identity of the directory and name: through what a file is open for writing."""


class Attribution:
    """Tells a watcher the authors of events. For the watcher's thread.

    Args:
        feed: takes what is published, and hands it on to `echoes`.
        settle: returns when the changes that are under way in the transport have been published.
        writers: what views have open for writing.
    """

    def __init__(
        self, feed: ChangeFeed, echoes: Echoes, settle: Callable[[], None], writers: Callable[[], OpenWriters]
    ) -> None:
        self._feed = feed
        self._echoes = echoes
        self._settle = settle
        self._open_writers = writers
        self._known: OpenWriters = {}

    def listening(self, on: bool) -> None:
        """Hear that directories are watched, or no more."""
        self._feed.listening(self._echoes if on else None)

    def settle(self, *, writing: bool) -> int:
        """See `watch.directories.Attribution`."""
        # First what is open, then what has been closed: so a file that is closed just now is in one of them.
        self._known = self._open_writers() if writing or self._echoes.is_closing else {}
        self.catch_up()
        return self._echoes.mark()

    def catch_up(self) -> None:
        """Return when all that views have done so far is known."""
        self._settle()
        self._feed.catch_up()

    def author(self, directory: bytes, event: WatchEvent) -> WatchEvent | None:
        """See `watch.directories.Attribution`."""
        with self._feed.lock:
            return self._echoes.author(directory, event, self._writers)

    def settled(self, mark: int) -> None:
        """See `watch.directories.Attribution`."""
        with self._feed.lock:
            self._echoes.forget(mark, self._writers)

    def _writers(self, directory: bytes, name: bytes) -> Sequence[object]:
        return self._known.get((directory, name), ())
