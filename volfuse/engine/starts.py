"""Starts of programs, and what follows their ends: the state, events, the restart policy, `--rm`.

A container that runs has a thread that waits for its program's end.

Lock order: the lock of a container's id before everything else. It is held while a program is started and while its
end is noted, never while waiting for an end.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from volfuse.core.ids import ContainerId
from volfuse.core.model import Container, Status
from volfuse.core.ports import Clock
from volfuse.core.restart import next_wait_s, restarts
from volfuse.engine import preparation
from volfuse.engine.containers import Containers
from volfuse.engine.ports import Runner, Store
from volfuse.engine.runplans import run_plan
from volfuse.engine.runrecords import RunRecords
from volfuse.engine.runs import Run, Runs
from volfuse.engine.state import StateRoot
from volfuse.engine.streams import Input, Output
from volfuse.engine.views import Views
from volfuse.errors import CannotStart, Conflict, NotFound, Unavailable, VolfuseError

__all__ = ["Starts"]

_log = logging.getLogger(__name__)

_NS = 1_000_000_000
_START_FAILED = 128


class Starts:
    """Starts the programs of containers, and attends to their ends."""

    def __init__(
        self,
        *,
        state: StateRoot,
        store: Store,
        containers: Containers,
        records: RunRecords,
        runs: Runs,
        runner: Runner,
        views: Views,
        views_directory: Path,
        clock: Clock,
    ) -> None:
        self._state = state
        self._store = store
        self._containers = containers
        self._records = records
        self._runs = runs
        self._runner = runner
        self._views = views
        self._views_directory = views_directory
        self._clock = clock
        self._locks = runs.locks
        self._guard = threading.Condition()
        self._refusing = False  # guarded by _guard
        self._launching = 0  # starts under way; guarded by _guard
        self._waiting: dict[ContainerId, Run] = {}  # runs that someone is attached to before the start; _guard
        self._sizes: dict[ContainerId, tuple[int, int]] = {}  # of terminals, before the start; guarded by _guard
        runs.when_removed(self._forget_container)

    def start(self, reference: str) -> bool:
        """Start a container's program; tell whether it was not running before.

        Raises:
            NotFound: no such container.
            Conflict: it is paused or being removed.
            Unavailable: the daemon is ending.
            CannotStart: with Docker's words; the state keeps the exit code.
        """
        container = self._containers.get(reference)
        with self._locks.hold([container.id]):
            container = self._records.fresh(container.id)
            match container.state.status:
                case Status.RUNNING:
                    return False
                case Status.PAUSED:
                    raise Conflict("cannot start a paused container, try unpause instead")
                case Status.RESTARTING:
                    return False
                case Status.REMOVING | Status.DEAD:
                    raise Conflict("container is marked for removal and cannot be started")
            with self._admitted():
                run = self._take_run(container)
                self._launch(container, run)
        return True

    def refuse(self) -> None:
        """Start nothing from now on, since the daemon ends; returns when no start is under way any more."""
        with self._guard:
            self._refusing = True
            self._guard.wait_for(lambda: self._launching == 0)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        with self._guard:
            if self._refusing:
                raise Unavailable("the daemon is ending")
            self._launching += 1
        try:
            yield
        finally:
            with self._guard:
                self._launching -= 1
                self._guard.notify_all()

    def _launch(self, container: Container, run: Run) -> None:
        """Start the program, note it, and have its end awaited; the caller holds the container's lock."""
        log = self._records.log_of(container)
        try:
            preparation.check_destinations(container)
            preparation.check_networks(container, self._store.networks())
            if preparation.make_sources(container):
                self._views.renew(container)
            if container.state.started_ns:
                self._views.empty_tmpfs(container)
            preparation.make_mount_points(container)
            self._views.make_places(container)
            mounts = self._views.shown(container)
            preparation.check_kinds(mounts)
            plan = run_plan(
                container,
                view=str(self._views_directory / container.name),
                files=preparation.etc_files(self._state, container),
                mounts=preparation.own_mounts(mounts),
                size=self._take_size(container),
            )
            self._records.announce_mounts(container)
            log.open()
            run.process = self._runner.run(plan, run.output, run.input, run.on_exit)
        except (VolfuseError, OSError) as exc:
            run.output.end()
            log.close()
            self._note_failure(container, exc)
            raise _worded(exc) from exc
        run.started_ns = self._clock.now_ns()
        self._runs.put(run)
        started = self._records.set_state(
            container.id,
            status=Status.RUNNING,
            pid=run.process.pid,
            exit_code=0,
            error="",
            started_ns=run.started_ns,
            stopped=False,
            oom_killed=False,
            restart_count=run.count,
        )
        self._containers.announce(started, "start")
        threading.Thread(target=self._attend, args=(run,), name=f"run-{container.name}", daemon=True).start()

    def _take_size(self, container: Container) -> tuple[int, int]:
        with self._guard:
            return self._sizes.pop(container.id, container.host_config.console_size)

    def _forget_container(self, container: ContainerId) -> None:
        with self._guard:
            self._sizes.pop(container, None)
            run = self._waiting.pop(container, None)
        self._records.forget(container)
        if run is not None:
            run.output.end()

    def _note_failure(self, container: Container, error: Exception) -> None:
        code = error.exit_code if isinstance(error, CannotStart) else _START_FAILED
        text = str(_worded(error))
        status = Status.CREATED if container.state.status is Status.CREATED else Status.EXITED
        self._records.announce_unmounts(container)
        self._records.set_state(container.id, status=status, pid=0, exit_code=code, error=text)
        self._runs.announce_exit(container.id, code, text)
        if container.host_config.auto_remove:
            self.remove_ended(container.id)

    def attachable(self, reference: str) -> tuple[Container, Run]:
        """Return the run of a container that one can attach to, also before its start.

        Raises:
            Conflict: it is paused or about to be started again.
        """
        container = self._containers.get(reference)
        match container.state.status:
            case Status.PAUSED:
                raise Conflict(f"container {reference} is paused, unpause the container before attach")
            case Status.RESTARTING:
                raise Conflict(f"container {reference} is restarting, wait until the container is running")
        with self._locks.hold([container.id]):
            run = self._runs.get(container.id)
            if run is None or run.exited.is_set():
                with self._guard:
                    run = self._waiting.get(container.id)
                if run is None:
                    run = self._new_run(container)
                    with self._guard:
                        self._waiting[container.id] = run
        self._containers.announce(container, "attach")
        return container, run

    def keep_size(self, container: ContainerId, rows: int, columns: int) -> bool:
        """Keep a terminal's size for the start, if someone is attached who waits for it; tell whether so."""
        with self._guard:
            if container not in self._waiting:
                return False
            self._sizes[container] = (rows, columns)
            return True

    def _take_run(self, container: Container) -> Run:
        """Return the run that someone is attached to already, or a new one."""
        with self._guard:
            run = self._waiting.pop(container.id, None)
        return run or self._new_run(container)

    def _new_run(self, container: Container) -> Run:
        source = Input() if container.config.open_stdin else None
        kept = container.host_config.log_config.type != "none"
        return Run(container.id, Output(self._records.log_of(container).write if kept else None), source)

    def _attend(self, run: Run) -> None:
        """Wait for a program's end and do what follows (a thread of its own)."""
        try:
            run.exited.wait()
            again = self._settle(run)
            if again:
                self._again(run)
        except Exception as exc:  # noqa: BLE001 - the boundary of a thread
            _log.exception("the end of container %s could not be noted", run.container)
            self._runs.announce_failure(run.container, run.code, str(exc))
        finally:
            self._runs.drop(run)
            run.settled.set()
            run.cancelled.set()

    def _settle(self, run: Run) -> bool:
        """Note a program's end; tell whether it is to be started again."""
        lacked_memory = run.process is not None and run.process.lacked_memory()
        if run.process is not None:
            run.process.clear()
        with self._locks.hold([run.container]):
            container = self._store.container(run.container)
            if container is None:
                return False
            ended_ns = self._clock.now_ns()
            ran_s = max(ended_ns - run.started_ns, 0) / _NS
            policy = container.host_config.restart_policy
            again = restarts(policy, exit_code=run.code, count=run.count, stopped=run.stopping)
            run.wait_s = next_wait_s(run.wait_s, ran_s)
            self._records.log_of(container).close()
            self._records.announce_unmounts(container)
            ended = self._records.set_state(
                run.container,
                status=Status.RESTARTING if again else Status.EXITED,
                pid=0,
                exit_code=run.code,
                finished_ns=ended_ns,
                stopped=run.stopping,
                oom_killed=lacked_memory,
            )
            if lacked_memory:
                self._containers.announce(ended, "oom")
            self._containers.announce(ended, "die", exitCode=str(run.code), execDuration=str(int(ran_s)))
            if not again:
                self._runs.drop(run)
        self._runs.announce_exit(run.container, run.code, again=again)
        if not again and container.host_config.auto_remove and not run.keep:
            self.remove_ended(run.container, run.code)
        return again

    def _again(self, run: Run) -> None:
        """Start a program again after a while, unless the user wants it to end."""
        if run.cancelled.wait(run.wait_s):
            self._records.set_state(run.container, status=Status.EXITED, stopped=True)
            self._runs.announce_exit(run.container, run.code)
            return
        with self._locks.hold([run.container]):
            container = self._store.container(run.container)
            if container is None or container.state.status is not Status.RESTARTING:
                return
            successor = self._new_run(container)
            successor.count, successor.wait_s = run.count + 1, run.wait_s
            if run.stopping:
                self._records.set_state(run.container, status=Status.EXITED, stopped=True)
                return
            with contextlib.suppress(VolfuseError), self._admitted():  # noted in the state
                self._launch(container, successor)

    def remove_ended(self, container: ContainerId, code: int = 0) -> None:
        """Remove a container that was made with `--rm`, as `rm -f -v` does; its lock may be held."""
        try:
            self._containers.remove(container, volumes=True, force=True)
        except (NotFound, Conflict):  # somebody else removes it
            pass
        except (VolfuseError, OSError) as exc:
            _log.exception("container %s could not be removed after its end", container)
            self._runs.announce_failure(container, code, str(exc))


def _worded(error: Exception) -> Exception:
    """Put Docker's words around what the runner said."""
    if isinstance(error, CannotStart):
        text = f"failed to create task for container: unable to start container process: {error}: unknown"
        return CannotStart(text, error.exit_code)
    return error
