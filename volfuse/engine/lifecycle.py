"""Use cases of running containers: start, stop, kill, restart, pause, wait, attach, logs, and what follows an end.

A container that runs has a thread that waits for its program's end. Containers end with the daemon: their files are
views that it serves. When it starts, those that ran when it was killed are marked as exited; then restart policies
apply.

Lock order: the lock of a container's id before everything else. It is held while a program is started and while its
end is noted, never while waiting for an end.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from volfuse.core.ids import ContainerId
from volfuse.core.model import Container, MountType, State, Status
from volfuse.core.ports import Clock
from volfuse.core.restart import check_policy, next_wait_s, restarts, restarts_with_daemon
from volfuse.core.signals import SIGKILL, SIGTERM, parse_signal
from volfuse.core.wire import RestartPolicy
from volfuse.engine import preparation
from volfuse.engine.containerlog import ContainerLog
from volfuse.engine.containers import Containers
from volfuse.engine.ports import Process, Runner, Store
from volfuse.engine.runplans import run_plan
from volfuse.engine.runs import Condition, Run, Runs, Wait
from volfuse.engine.state import StateRoot
from volfuse.engine.streams import Input, Output
from volfuse.engine.views import Views
from volfuse.engine.volumes import Volumes
from volfuse.errors import CannotStart, Conflict, NotFound, VolfuseError

__all__ = ["Lifecycle"]

_log = logging.getLogger(__name__)

_NS = 1_000_000_000
_STOP_S = 10
_SHUTDOWN_S = 3.0
_LOST = 255
"""Exit code of a container whose end nobody saw (moby daemon/daemon.go, restore)."""
_START_FAILED = 128
_ALIVE = (Status.RUNNING, Status.PAUSED, Status.RESTARTING)


class Lifecycle:
    """Starts and ends the programs of containers."""

    def __init__(
        self,
        *,
        state: StateRoot,
        store: Store,
        containers: Containers,
        volumes: Volumes,
        runs: Runs,
        runner: Runner,
        views: Views,
        views_directory: Path,
        clock: Clock,
    ) -> None:
        self._state = state
        self._store = store
        self._containers = containers
        self._volumes = volumes
        self._runs = runs
        self._runner = runner
        self._views = views
        self._views_directory = views_directory
        self._clock = clock
        self._locks = runs.locks
        self._guard = threading.Lock()
        self._waiting: dict[ContainerId, Run] = {}  # runs that someone is attached to before the start; _guard
        self._logs: dict[ContainerId, ContainerLog] = {}  # guarded by _guard
        self._sizes: dict[ContainerId, tuple[int, int]] = {}  # of terminals, before the start; guarded by _guard
        runs.when_removed(self._forget_container)

    def start(self, reference: str) -> bool:
        """Start a container's program; tell whether it was not running before.

        Raises:
            NotFound: no such container.
            Conflict: it is paused or being removed.
            CannotStart: with Docker's words; the state keeps the exit code.
        """
        container = self._containers.get(reference)
        with self._locks.hold([container.id]):
            container = self._fresh(container.id)
            match container.state.status:
                case Status.RUNNING:
                    return False
                case Status.PAUSED:
                    raise Conflict("cannot start a paused container, try unpause instead")
                case Status.RESTARTING:
                    return False
                case Status.REMOVING | Status.DEAD:
                    raise Conflict("container is marked for removal and cannot be started")
            run = self._take_run(container)
            self._launch(container, run)
        return True

    def _launch(self, container: Container, run: Run) -> None:
        """Start the program, note it, and have its end awaited; the caller holds the container's lock."""
        log = self.log_of(container)
        try:
            if preparation.make_sources(container):
                self._views.renew(container)
            preparation.make_mount_points(container)
            mounts = self._views.shown(container)
            preparation.check_kinds(mounts)
            plan = run_plan(
                container,
                view=str(self._views_directory / container.name),
                files=preparation.etc_files(self._state, container),
                mounts=preparation.own_mounts(mounts),
                size=self._take_size(container.id),
            )
            self._announce_mounts(container)
            log.open()
            run.process = self._runner.run(plan, run.output, run.input, run.on_exit)
        except (VolfuseError, OSError) as exc:
            run.output.end()
            log.close()
            self._note_failure(container, exc)
            raise _worded(exc) from exc
        run.started_ns = self._clock.now_ns()
        self._runs.put(run)
        started = self._set_state(
            container.id,
            status=Status.RUNNING,
            pid=run.process.pid,
            exit_code=0,
            error="",
            started_ns=run.started_ns,
            stopped=False,
            restart_count=run.count,
        )
        self._containers.announce(started, "start")
        threading.Thread(target=self._attend, args=(run,), name=f"run-{container.name}", daemon=True).start()

    def _take_size(self, container: ContainerId) -> tuple[int, int]:
        with self._guard:
            return self._sizes.pop(container, (0, 0))

    def _forget_container(self, container: ContainerId) -> None:
        with self._guard:
            self._sizes.pop(container, None)
            self._logs.pop(container, None)
            run = self._waiting.pop(container, None)
        if run is not None:
            run.output.end()

    def _note_failure(self, container: Container, error: Exception) -> None:
        code = error.exit_code if isinstance(error, CannotStart) else _START_FAILED
        text = str(_worded(error))
        status = Status.CREATED if container.state.status is Status.CREATED else Status.EXITED
        self._announce_unmounts(container)
        self._set_state(container.id, status=status, pid=0, exit_code=code, error=text)
        self._runs.announce_exit(container.id, code, text)
        if container.host_config.auto_remove:
            self._remove(container.id)

    def _take_run(self, container: Container) -> Run:
        """Return the run that someone is attached to already, or a new one."""
        with self._guard:
            run = self._waiting.pop(container.id, None)
        return run or self._new_run(container)

    def _new_run(self, container: Container) -> Run:
        source = Input() if container.config.open_stdin else None
        return Run(container.id, Output(self.log_of(container).write), source)

    def _attend(self, run: Run) -> None:
        """Wait for a program's end and do what follows (a thread of its own)."""
        try:
            run.exited.wait()
            again = self._settle(run)
            if again:
                self._again(run)
        except Exception:  # noqa: BLE001 - the boundary of a thread
            _log.exception("the end of container %s could not be noted", run.container)
        finally:
            self._runs.drop(run)
            run.settled.set()
            run.cancelled.set()

    def _settle(self, run: Run) -> bool:
        """Note a program's end; tell whether it is to be started again."""
        with self._locks.hold([run.container]):
            container = self._store.container(run.container)
            if container is None:
                return False
            ended_ns = self._clock.now_ns()
            ran_s = max(ended_ns - run.started_ns, 0) / _NS
            policy = container.host_config.restart_policy
            again = restarts(policy, exit_code=run.code, count=run.count, stopped=run.stopping)
            run.wait_s = next_wait_s(run.wait_s, ran_s)
            self.log_of(container).close()
            self._announce_unmounts(container)
            ended = self._set_state(
                run.container,
                status=Status.RESTARTING if again else Status.EXITED,
                pid=0,
                exit_code=run.code,
                finished_ns=ended_ns,
                stopped=run.stopping,
            )
            self._containers.announce(ended, "die", exitCode=str(run.code), execDuration=str(int(ran_s)))
            if not again:
                self._runs.drop(run)
        self._runs.announce_exit(run.container, run.code, again=again)
        if not again and container.host_config.auto_remove and not run.keep:
            self._remove(run.container)
        return again

    def _again(self, run: Run) -> None:
        """Start a program again after a while, unless the user wants it to end."""
        if run.cancelled.wait(run.wait_s):
            self._set_state(run.container, status=Status.EXITED, stopped=True)
            self._runs.announce_exit(run.container, run.code)
            return
        with self._locks.hold([run.container]):
            container = self._store.container(run.container)
            if container is None or container.state.status is not Status.RESTARTING:
                return
            successor = self._new_run(container)
            successor.count, successor.wait_s = run.count + 1, run.wait_s
            if run.stopping:
                self._set_state(run.container, status=Status.EXITED, stopped=True)
                return
            with contextlib.suppress(VolfuseError):  # noted in the state
                self._launch(container, successor)

    def _remove(self, container: ContainerId) -> None:
        """Remove a container that was made with `--rm`, as `rm -f -v` does; its lock may be held."""
        try:
            self._containers.remove(container, volumes=True, force=True)
        except (NotFound, Conflict):  # somebody else removes it
            pass
        except (VolfuseError, OSError):
            _log.exception("container %s could not be removed after its end", container)

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
        self.start(container.id)
        self._containers.announce(container, "restart")

    def pause(self, reference: str) -> None:
        """Stop all processes of a container where they are.

        Raises:
            Conflict: it does not run, or is paused.
            Unsupported: no cgroup freezer here.
        """
        container, run, process = self._running(reference)
        with self._locks.hold([container.id]):
            if run.paused:
                raise Conflict(f"container {container.id} is already paused")
            process.freeze()
            run.paused = True
            self._set_state(container.id, status=Status.PAUSED)
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
            self._set_state(container.id, status=Status.RUNNING)
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
        """
        container = self._containers.get(reference)
        run = self._runs.get(container.id)
        if run is None or run.process is None:
            with self._guard:
                if container.id in self._waiting:
                    self._sizes[container.id] = (rows, columns)
                    return
            raise Conflict(f"container {container.id} is not running")
        run.process.resize(rows, columns)
        self._containers.announce(container, "resize", height=str(rows), width=str(columns))

    def top(self, reference: str, ps_arguments: str = "") -> tuple[list[str], list[list[str]]]:
        """Return the head and the lines of ps(1) for a container's processes.

        Raises:
            Conflict: it does not run.
            InvalidSpec: ps does not take the arguments, or shows no process ids.
        """
        container, _, process = self._running(reference)
        table = process.top(ps_arguments or "-ef")
        self._containers.announce(container, "top")
        return table

    def _running(self, reference: str) -> tuple[Container, Run, Process]:
        container = self._containers.get(reference)
        run = self._runs.get(container.id)
        if run is None or run.process is None or container.state.status is Status.RESTARTING:
            raise Conflict(f"container {container.id} is not running")
        return container, run, run.process

    def wait(self, reference: str, condition: Condition, wake: Callable[[], None]) -> tuple[ContainerId, Wait]:
        """Wait for a container; what is so already resolves at once. End it by `forget`, with the id returned."""
        container = self._containers.get(reference)
        waiting = self._runs.wait(container.id, condition, wake)
        container = self._store.container(container.id) or container
        if condition is Condition.NOT_RUNNING and container.state.status not in _ALIVE and waiting.code is None:
            waiting.resolve(container.state.exit_code)
        return container.id, waiting

    def forget(self, container: ContainerId, waiting: Wait) -> None:
        """Stop waiting."""
        self._runs.forget(container, waiting)

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

    def log_of(self, container: Container) -> ContainerLog:
        """Return the log of a container's output."""
        with self._guard:
            return self._logs.setdefault(container.id, self._make_log(container))

    def _make_log(self, container: Container) -> ContainerLog:
        directory = self._state.container_dir(container.id) / "logs"
        return ContainerLog(directory, self._clock, container.host_config.log_config.config)

    def logs(self, reference: str) -> tuple[Container, ContainerLog]:
        """Return a container and its log."""
        container = self._containers.get(reference)
        return container, self.log_of(container)

    def running(self, reference: str) -> tuple[Container, Process]:
        """Return a container and its process, for a further program.

        Raises:
            Conflict: it does not run, or is paused.
        """
        container, run, process = self._running(reference)
        if run.paused:
            raise Conflict(f"container {container.name} is paused, unpause the container before exec")
        return container, process

    def update(self, reference: str, policy: RestartPolicy) -> None:
        """Change the restart policy of a container.

        Raises:
            InvalidSpec: not a policy, or one that does not go with AutoRemove.
        """
        container = self._containers.get(reference)
        host = msgspec.structs.replace(container.host_config, restart_policy=policy)
        check_policy(host)
        with self._locks.hold([container.id]), self._state.change() as change:
            fresh = self._fresh(container.id)
            host = msgspec.structs.replace(fresh.host_config, restart_policy=policy)
            change.rows.put_container(msgspec.structs.replace(fresh, host_config=host))
        self._containers.announce(container, "update")

    def _fresh(self, container: ContainerId) -> Container:
        found = self._store.container(container)
        if found is None:
            raise NotFound(f"No such container: {container}")
        return found

    def _set_state(self, container: ContainerId, restart_count: int | None = None, **changes: Any) -> Container:  # noqa: ANN401
        with self._state.change() as change:
            fresh = self._fresh(container)
            state: State = msgspec.structs.replace(fresh.state, **changes)
            count = fresh.restart_count if restart_count is None else restart_count
            changed = msgspec.structs.replace(fresh, state=state, restart_count=count)
            change.rows.put_container(changed)
        return changed

    def _announce_mounts(self, container: Container) -> None:
        for mount in container.mounts:
            if mount.type is MountType.VOLUME and mount.name:
                self._volumes.announce(
                    mount.name,
                    "mount",
                    container=container.id,
                    destination=mount.destination,
                    **{"read/write": "true" if mount.rw else "false"},
                    propagation=mount.propagation,
                )

    def _announce_unmounts(self, container: Container) -> None:
        for mount in container.mounts:
            if mount.type is MountType.VOLUME and mount.name:
                self._volumes.announce(mount.name, "unmount", container=container.id)

    def restore(self) -> None:
        """Note the ends that a killed daemon did not see, and start what restart policies want started."""
        wanted = []
        for container in self._store.containers():
            state = container.state
            was_running = state.status in _ALIVE or state.interrupted
            code = _LOST if state.status in _ALIVE else state.exit_code
            if state.status in _ALIVE:
                now_ns = self._clock.now_ns()
                self._set_state(container.id, status=Status.EXITED, pid=0, exit_code=code, finished_ns=now_ns)
            if state.interrupted:
                self._set_state(container.id, interrupted=False)
            policy = container.host_config.restart_policy
            if was_running and container.host_config.auto_remove:
                self._remove(container.id)
            elif restarts_with_daemon(policy, exit_code=code, was_running=was_running, stopped=state.stopped):
                wanted.append(container.id)
        for container_id in wanted:
            try:
                self.start(container_id)
            except (VolfuseError, OSError):
                _log.exception("container %s could not be started again", container_id)

    def close(self) -> None:
        """End all programs, each with its stop signal and a moment, and remember which ran."""
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
                self._set_state(run.container, stopped=False, interrupted=True)


def _worded(error: Exception) -> Exception:
    """Put Docker's words around what the runner said."""
    if isinstance(error, CannotStart):
        text = f"failed to create task for container: unable to start container process: {error}: unknown"
        return CannotStart(text, error.exit_code)
    return error
