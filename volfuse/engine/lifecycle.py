"""Use cases that change what a container's program does after its start: stop, kill, restart, pause, resize.

Containers end with the daemon: their files are views that it serves. When it starts, those that ran when it was killed
are marked as exited; then restart policies apply.

Locks are those of `engine.starts`.
"""

from __future__ import annotations

import contextlib
import logging

from volfuse.core.hostchecks import check_size
from volfuse.core.model import Container, Status
from volfuse.core.ports import Clock
from volfuse.core.restart import restarts_with_daemon
from volfuse.core.signals import SIGKILL, SIGTERM, parse_signal
from volfuse.engine.containers import Containers
from volfuse.engine.observation import Observation
from volfuse.engine.ports import Process, Store
from volfuse.engine.runrecords import RunRecords
from volfuse.engine.runs import Run, Runs
from volfuse.engine.starts import Starts
from volfuse.errors import Conflict, NotFound, VolfuseError

__all__ = ["Lifecycle"]

_log = logging.getLogger(__name__)

_NS = 1_000_000_000
_STOP_S = 10
_SHUTDOWN_S = 3.0
_LOST = 255
"""Exit code of a container whose end nobody saw (moby daemon/daemon.go, restore)."""
_ALIVE = (Status.RUNNING, Status.PAUSED, Status.RESTARTING)


class Lifecycle:
    """Stops and pauses the programs of containers, and starts them again."""

    def __init__(
        self,
        *,
        store: Store,
        containers: Containers,
        records: RunRecords,
        runs: Runs,
        starts: Starts,
        observation: Observation,
        clock: Clock,
    ) -> None:
        self._store = store
        self._containers = containers
        self._records = records
        self._runs = runs
        self._starts = starts
        self._observation = observation
        self._clock = clock
        self._locks = runs.locks

    def stop(self, reference: str, *, timeout_s: int | None = None, signal: str = "") -> bool:
        """Ask a program to end, kill it after a while; tell whether it ran.

        Args:
            timeout_s: negative to wait without end; by default the container's own or ten seconds.
            signal: by default the container's own, or SIGTERM.

        Raises:
            InvalidSpec: no such signal.
        """
        container = self._containers.get(reference)
        number = parse_signal(signal or container.config.stop_signal or "TERM")
        if timeout_s is None:
            timeout_s = _STOP_S if container.config.stop_timeout is None else container.config.stop_timeout
        run = self._runs.get(container.id)
        if run is None:
            return False
        self._end(container, run, number, None if timeout_s < 0 else float(timeout_s))
        self._containers.announce(container, "stop")
        return True

    def _end(self, container: Container, run: Run, number: int, timeout_s: float | None) -> None:
        run.request_end()
        self._thaw(run)
        if run.process is not None and not run.exited.is_set():
            self._signal(container, run.process, number)
            if not run.exited.wait(timeout_s):
                self._signal(container, run.process, SIGKILL)
        run.settled.wait()

    def _signal(self, container: Container, process: Process, number: int) -> None:
        if process.signal(number):
            self._containers.announce(container, "kill", signal=str(number))

    def kill(self, reference: str, *, signal: str = "") -> None:
        """Send a signal to a program; after SIGKILL or the container's stop signal it is not started again.

        Raises:
            Conflict: it does not run.
            InvalidSpec: no such signal.
        """
        container = self._containers.get(reference)
        number = parse_signal(signal or "KILL")
        run = self._runs.get(container.id)
        if run is None or run.process is None:
            raise Conflict(f"cannot kill container: {reference}: container {container.id} is not running")
        if number in (SIGKILL, SIGTERM, parse_signal(container.config.stop_signal or "TERM")):
            run.stopping = True
        if number == SIGKILL:
            run.cancelled.set()
            self._thaw(run)
        self._signal(container, run.process, number)
        if number == SIGKILL:
            run.settled.wait(_STOP_S)

    def restart(self, reference: str, *, timeout_s: int | None = None, signal: str = "") -> None:
        """Stop a program if it runs, and start it."""
        container = self._containers.get(reference)
        if (run := self._runs.get(container.id)) is not None:
            run.keep = True
        self.stop(container.id, timeout_s=timeout_s, signal=signal)
        self._starts.start(container.id)
        self._containers.announce(container, "restart")

    def pause(self, reference: str) -> None:
        """Stop all processes of a container where they are.

        Raises:
            Conflict: it does not run, or is paused.
            Unsupported: no cgroup freezer here.
        """
        container, run, process = self._observation.running(reference)
        with self._locks.hold([container.id]):
            if run.paused:
                raise Conflict(f"container {container.id} is already paused")
            process.freeze()
            run.paused = True
            self._records.set_state(container.id, status=Status.PAUSED)
        self._containers.announce(container, "pause")

    def unpause(self, reference: str) -> None:
        """Let the processes of a container go on.

        Raises:
            Conflict: it is not paused.
        """
        container = self._containers.get(reference)
        run = self._runs.get(container.id)
        if run is None or not run.paused:
            raise Conflict(f"container {container.id} is not paused")
        with self._locks.hold([container.id]):
            self._thaw(run)
            self._records.set_state(container.id, status=Status.RUNNING)
        self._containers.announce(container, "unpause")

    @staticmethod
    def _thaw(run: Run) -> None:
        if run.paused and run.process is not None:
            run.process.thaw()
            run.paused = False

    def resize(self, reference: str, rows: int, columns: int) -> None:
        """Set the size of a container's terminal; before the start it is kept for it.

        Raises:
            Conflict: it does not run and nobody is attached to it.
            InvalidSpec: no terminal has that size.
        """
        check_size(rows, columns)
        container = self._containers.get(reference)
        run = self._runs.get(container.id)
        if run is None or run.process is None:
            if self._starts.keep_size(container.id, rows, columns):
                return
            raise Conflict(f"container {container.id} is not running")
        run.process.resize(rows, columns)
        self._containers.announce(container, "resize", height=str(rows), width=str(columns))

    def restore(self) -> None:
        """Note the ends that a killed daemon did not see, and start what restart policies want started."""
        wanted = []
        for container in self._store.containers():
            state = container.state
            was_running = state.status in _ALIVE or state.interrupted
            code = _LOST if state.status in _ALIVE else state.exit_code
            if state.status in _ALIVE:
                now_ns = self._clock.now_ns()
                self._records.set_state(container.id, status=Status.EXITED, pid=0, exit_code=code, finished_ns=now_ns)
            if state.interrupted:
                self._records.set_state(container.id, interrupted=False)
            policy = container.host_config.restart_policy
            if was_running and container.host_config.auto_remove:
                self._starts.remove_ended(container.id)
            elif restarts_with_daemon(policy, exit_code=code, was_running=was_running, stopped=state.stopped):
                wanted.append(container.id)
        for container_id in wanted:
            try:
                self._starts.start(container_id)
            except (VolfuseError, OSError):
                _log.exception("container %s could not be started again", container_id)

    def close(self) -> None:
        """Start nothing more; end all programs, each with its stop signal and a moment, and remember which ran.

        May be called twice. Views must be served until it returns: programs that end close their files.
        """
        self._starts.refuse()
        runs = self._runs.all()
        for run in runs:
            run.keep = True
            run.request_end()
            container = self._store.container(run.container)
            if run.process is not None and container is not None:
                self._thaw(run)
                run.process.signal(parse_signal(container.config.stop_signal or "TERM"))
        deadline_ns = self._clock.now_ns() + int(_SHUTDOWN_S * _NS)
        for run in runs:
            left_s = max(deadline_ns - self._clock.now_ns(), 0) / _NS
            if run.process is not None and not run.exited.wait(left_s):
                run.process.signal(SIGKILL)
            run.settled.wait()
            with contextlib.suppress(NotFound):
                self._records.set_state(run.container, stopped=False, interrupted=True)
