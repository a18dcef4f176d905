"""A listener that keeps what it hears, to be waited for."""

from __future__ import annotations

import queue
import time

from volfuse.core.watching import WatchEvent, What

__all__ = ["Heard"]

DEADLINE_S = 20.0


class Heard:
    """What a listener hears, as `NAME what`."""

    def __init__(self) -> None:
        self.events: queue.Queue[WatchEvent] = queue.Queue()
        self.losses: queue.Queue[str] = queue.Queue()

    def happened(self, event: WatchEvent) -> None:
        self.events.put(event)

    def lost(self, reason: str) -> None:
        self.losses.put(reason)

    def until(self, last: str) -> list[str]:
        """Return the events up to one, which must come."""
        found = []
        deadline = time.monotonic() + DEADLINE_S
        while not found or found[-1] != last:
            try:
                found.append(text(self.events.get(timeout=max(deadline - time.monotonic(), 0.001))))
            except queue.Empty:
                raise AssertionError(f"{last!r} did not come after {found}") from None
        return found


def text(event: WatchEvent) -> str:
    """Return an event as inotifywait shows it: names of the bits, then the name."""
    bits = "|".join(bit.name or "" for bit in What if event.what & bit)
    return f"{bits} {event.name.decode()}".rstrip()
