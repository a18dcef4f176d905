"""A watcher of source directories whose hearing a test can take away."""

from __future__ import annotations

from volfuse.core.watching import CHANGES, WatchEvent
from volfuse.errors import Unavailable
from volfuse.fs.watching import Listener, SourceWatcher, Watch

__all__ = ["Hearing"]


class _Ear:
    """A listener that hears nothing while the watcher is deaf."""

    def __init__(self, hearing: Hearing, listener: Listener) -> None:
        self._hearing = hearing
        self._listener = listener

    def happened(self, event: WatchEvent) -> None:
        if not self._hearing.deaf:
            self._listener.happened(event)

    def lost(self, reason: str) -> None:
        self._listener.lost(reason)


class Hearing:
    """A watcher that works by another one.

    Attributes:
        left: how many more directories can be watched; None if as many as one likes.
        deaf: events are lost.
    """

    def __init__(self, watcher: SourceWatcher) -> None:
        self._watcher = watcher
        self._ears: list[_Ear] = []
        self.left: int | None = None
        self.deaf = False

    def watch(self, directory_fd: int, listener: Listener, what: int = CHANGES) -> Watch:
        """See `SourceWatcher`."""
        if self.left is not None:
            if not self.left:
                raise Unavailable("no more watches")
            self.left -= 1
        ear = _Ear(self, listener)
        self._ears.append(ear)
        return self._watcher.watch(directory_fd, ear, what)

    def hear(self) -> None:
        """Hear again, and tell that events were lost."""
        self.deaf = False
        for ear in list(self._ears):
            ear.lost("events were lost")
