"""What the meaning of a view needs of whoever watches source directories.

Watching is for those who must hear of changes that did not come through them: what is done on the host, and through
other views. `volfuse.watch` does it; what is done through views is known by its author.
"""

from __future__ import annotations

from typing import Protocol

from volfuse.core.watching import CHANGES, WatchEvent

__all__ = ["Listener", "SourceWatcher", "Watch"]


class Listener(Protocol):
    """Hears of one watched directory. Called on the watcher's thread, which must not be held up."""

    def happened(self, event: WatchEvent) -> None:
        """Hear of an event, in the order in which the kernel saw them over all watched directories."""
        ...

    def lost(self, reason: str) -> None:
        """Hear that events were lost, or that no more will come: what is known of the directory may be old."""
        ...


class Watch(Protocol):
    """A directory being watched for one listener."""

    def close(self) -> None:
        """Stop; what was read already may still be told. May be called twice."""
        ...


class SourceWatcher(Protocol):
    """Watches directories, many and not recursively."""

    def watch(self, directory_fd: int, listener: Listener, what: int = CHANGES, *, patient: bool = False) -> Watch:
        """Tell `listener` what happens in a directory, wherever it is renamed to.

        Args:
            directory_fd: any descriptor of it, O_PATH too; not kept.
            what: bits of `What` that are wanted; others may be told as well, where somebody else wants them.
            patient: need not be told within a few milliseconds.

        Raises:
            Unavailable: it cannot be watched: no more watches, or the watcher has ended.
        """
        ...
