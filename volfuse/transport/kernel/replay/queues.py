"""Steps that wait to be done: for each mount a queue, in order, and never longer than can be borne."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Final

from volfuse.transport.kernel.mounts import MountState
from volfuse.transport.kernel.replay.steps import Step, thinned

__all__ = ["Queues"]

_log = logging.getLogger(__name__)

_MOST: Final = 8192
_BATCH: Final = 64


class Queues:
    """Queues of steps by mount.

    Attributes:
        overrun: steps that were left out although nothing had overtaken them.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._queues: dict[MountState, deque[Step]] = {}  # guarded by self._lock
        self._ended = False  # guarded by self._lock
        self.overrun = 0

    def add(self, mount: MountState, step: Step) -> None:
        """Put a step at the end of its mount's queue; one that is too long is thinned, and then cut."""
        with self._lock:
            queue = self._queues.setdefault(mount, deque())
            queue.append(step)
            if len(queue) > _MOST:
                kept = thinned(queue)
                if len(kept) > _MOST // 2:
                    if not self.overrun:
                        _log.warning("watchers in views were not told of all changes: more came than can be repeated")
                    self.overrun += len(kept) - _MOST // 2
                    kept = kept[-_MOST // 2 :]
                queue.clear()
                queue.extend(kept)
            self._lock.notify_all()

    def take(self) -> list[list[Step]]:
        """Wait for steps; return the first of each mount, in turn. Nothing once the queues are closed."""
        with self._lock:
            while not self._ended:
                self._queues = {mount: queue for mount, queue in self._queues.items() if queue and not mount.gone}
                if self._queues:
                    return [
                        [queue.popleft() for _ in range(min(len(queue), _BATCH))] for queue in self._queues.values()
                    ]
                self._lock.wait()
            return []

    def close(self) -> None:
        """Let go of everything, and of who waits."""
        with self._lock:
            self._ended = True
            self._queues.clear()
            self._lock.notify_all()
