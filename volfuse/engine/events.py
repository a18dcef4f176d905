"""The event log: the last events, and those who listen.

`publish` may be called from any thread and never waits for a listener. A subscription holds what its listener has not
taken yet; one that falls too far behind is ended and says so, rather than growing or silently losing events.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from volfuse.core.events import Event

__all__ = ["HISTORY_LENGTH", "QUEUE_LENGTH", "EventLog", "Subscription"]

HISTORY_LENGTH = 256
"""Events that are kept for `since` (moby keeps as many)."""

QUEUE_LENGTH = 4096
"""Events that a listener may be behind."""


class EventLog:
    """Keeps the last events and hands new ones to all subscriptions, each in the order of publishing."""

    def __init__(self, *, history_length: int = HISTORY_LENGTH, queue_length: int = QUEUE_LENGTH) -> None:
        self._lock = threading.Lock()
        self._history: deque[Event] = deque(maxlen=history_length)  # guarded by self._lock
        self._subscriptions: list[Subscription] = []  # guarded by self._lock
        self._closed = False  # guarded by self._lock
        self._queue_length = queue_length

    def publish(self, event: Event) -> None:
        """Add an event; wakes the listeners after the lock is given back."""
        with self._lock:
            self._history.append(event)
            listeners = list(self._subscriptions)
            for subscription in listeners:
                if not subscription._offer(event):
                    self._subscriptions.remove(subscription)
        for subscription in listeners:
            subscription._wake()

    def history(self, since_ns: int, until_ns: int) -> list[Event]:
        """Return the kept events of a span of time, both ends included, oldest first."""
        with self._lock:
            return [event for event in self._history if since_ns <= event.time_ns <= until_ns]

    def subscribe(self, wake: Callable[[], None], *, since_ns: int | None = None) -> Subscription:
        """Start to listen; the subscription is a context manager.

        Args:
            wake: called, on whatever thread publishes, after there is something new to `take` or the subscription
                ended; must be quick and not raise. From asyncio: `lambda: loop.call_soon_threadsafe(flag.set)`.
            since_ns: begin with the kept events from then on; nothing is lost or seen twice in between.
        """
        with self._lock:
            backlog = [] if since_ns is None else [e for e in self._history if e.time_ns >= since_ns]
            subscription = Subscription(self, wake, backlog, self._queue_length, ended=self._closed)
            if not self._closed:
                self._subscriptions.append(subscription)
        return subscription

    def close(self) -> None:
        """End all subscriptions, and at once those still to come. May be called twice."""
        with self._lock:
            self._closed = True
            listeners, self._subscriptions = self._subscriptions, []
            for subscription in listeners:
                subscription._ended = True
        for subscription in listeners:
            subscription._wake()

    def _remove(self, subscription: Subscription) -> None:
        with self._lock:
            subscription._ended = True
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    def _take(self, subscription: Subscription) -> list[Event]:
        with self._lock:
            events = list(subscription._pending)
            subscription._pending.clear()
            return events


class Subscription:
    """One listener's place in the log. All its state is guarded by the log's lock."""

    def __init__(
        self, log: EventLog, wake: Callable[[], None], backlog: list[Event], limit: int, *, ended: bool
    ) -> None:
        self._log = log
        self._wake = wake
        self._pending = deque(backlog)
        self._limit = max(limit, len(backlog))
        self._ended = ended
        self._overflowed = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will come; what is pending can still be taken."""
        return self._ended

    @property
    def overflowed(self) -> bool:
        """Whether it ended because the listener fell behind."""
        return self._overflowed

    def take(self) -> list[Event]:
        """Return the events that came since the last call, without waiting."""
        return self._log._take(self)

    def close(self) -> None:
        """Stop listening."""
        self._log._remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _offer(self, event: Event) -> bool:
        """Queue an event, or end the subscription if it is full; the log's lock is held."""
        if len(self._pending) >= self._limit:
            self._ended = self._overflowed = True
            return False
        self._pending.append(event)
        return True
