"""What runs now: one `Run` for each container whose program was started, and those who wait for its end.

Shared by the use cases that start programs and those that remove containers, so that neither needs the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from volfuse.core.ids import ContainerId
from volfuse.core.signals import SIGKILL
from volfuse.engine.locks import NamedLocks
from volfuse.engine.ports import Process
from volfuse.engine.streams import Input, Output

__all__ = ["Condition", "Run", "Runs", "Wait"]

_KILLED_S = 30.0


class Condition(StrEnum):
    """What `wait` waits for."""

    NOT_RUNNING = "not-running"
    NEXT_EXIT = "next-exit"
    REMOVED = "removed"


class Wait:
    """Someone's waiting for a container; `wake` is called when `code` is set."""

    def __init__(self, condition: Condition, wake: Callable[[], None]) -> None:
        self.condition = condition
        self._wake = wake
        self.code: int | None = None
        self.error = ""

    def resolve(self, code: int, error: str = "") -> None:
        """Say how it ended."""
        self.code, self.error = code, error
        self._wake()


@dataclass(eq=False, slots=True)
class Run:
    """One run of a container's program.

    Attributes:
        process: set once it was started.
        exited: the program has ended with `code`.
        settled: what follows from the end has been done: state, events, the decision to start again.
        stopping: the user wants it to end and not to be started again.
        keep: do not remove the container when this run ends, though it has AutoRemove (restart).
        count: how often it was started again by itself.
    """

    container: ContainerId
    output: Output
    input: Input | None
    process: Process | None = None
    started_ns: int = 0
    code: int = 0
    count: int = 0
    wait_s: float = 0.0
    stopping: bool = False
    keep: bool = False
    paused: bool = False
    exited: threading.Event = field(default_factory=threading.Event)
    settled: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def on_exit(self, code: int) -> None:
        """Note the end (on the runner's thread)."""
        self.code = code
        self.exited.set()

    def request_end(self) -> None:
        """Say that it shall end for good; wakes it where it only waits to be started again."""
        self.stopping = True
        self.cancelled.set()


class Runs:
    """The runs by container, and the waits."""

    def __init__(self) -> None:
        self.locks = NamedLocks()
        """Held, by the container's id, while it is started, while its end is noted, and while it is removed."""
        self._lock = threading.Lock()
        self._removed: Callable[[ContainerId], None] | None = None
        self._runs: dict[ContainerId, Run] = {}  # guarded by _lock
        self._waits: dict[ContainerId, list[Wait]] = {}  # guarded by _lock
        self._codes: dict[ContainerId, int] = {}  # last exit code, for waits for the removal; guarded by _lock

    def get(self, container: ContainerId) -> Run | None:
        """Return the run of a container."""
        with self._lock:
            return self._runs.get(container)

    def all(self) -> list[Run]:
        """Return all runs."""
        with self._lock:
            return list(self._runs.values())

    def put(self, run: Run) -> None:
        """Note that a container runs."""
        with self._lock:
            self._runs[run.container] = run

    def drop(self, run: Run) -> None:
        """Note that a run is over."""
        with self._lock:
            if self._runs.get(run.container) is run:
                del self._runs[run.container]

    def halt(self, container: ContainerId) -> None:
        """Kill what a container runs, not to be started again, and wait until all that follows is done."""
        while (run := self.get(container)) is not None:
            run.keep = True
            run.request_end()
            if run.process is not None:
                run.process.signal(SIGKILL)
            if not run.settled.wait(_KILLED_S):
                return

    def wait(self, container: ContainerId, condition: Condition, wake: Callable[[], None]) -> Wait:
        """Begin to wait."""
        waiting = Wait(condition, wake)
        with self._lock:
            self._waits.setdefault(container, []).append(waiting)
        return waiting

    def forget(self, container: ContainerId, waiting: Wait) -> None:
        """Stop waiting."""
        with self._lock:
            left = [w for w in self._waits.get(container, ()) if w is not waiting]
            if left:
                self._waits[container] = left
            else:
                self._waits.pop(container, None)

    def announce_exit(self, container: ContainerId, code: int, error: str = "", *, again: bool = False) -> None:
        """Tell those who wait for an exit; `again`: the container is going to be started again."""
        over = {Condition.NEXT_EXIT} if again else {Condition.NEXT_EXIT, Condition.NOT_RUNNING}
        with self._lock:
            self._codes[container] = code
            done = [w for w in self._waits.get(container, ()) if w.condition in over]
            self._waits[container] = [w for w in self._waits.get(container, ()) if w.condition not in over]
        for waiting in done:
            waiting.resolve(code, error)

    def announce_failure(self, container: ContainerId, code: int, error: str) -> None:
        """Tell everyone who waits for a container that what follows its end could not be done."""
        with self._lock:
            done = self._waits.pop(container, [])
        for waiting in done:
            waiting.resolve(code, error)

    def when_removed(self, function: Callable[[ContainerId], None]) -> None:
        """Say what to call when a container has been removed."""
        self._removed = function

    def announce_removal(self, container: ContainerId, code: int) -> None:
        """Tell everyone who waits for a container that it is gone."""
        with self._lock:
            done = self._waits.pop(container, [])
            code = self._codes.pop(container, code)
        for waiting in done:
            waiting.resolve(code)
        if self._removed is not None:
            self._removed(container)
