"""Use cases of further programs in running containers: `exec`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from volfuse.core.hostchecks import check_program, check_size
from volfuse.core.ids import ContainerId
from volfuse.core.model import Container
from volfuse.core.ports import Ids
from volfuse.engine.containers import Containers
from volfuse.engine.observation import Observation
from volfuse.engine.ports import Process, Runner
from volfuse.engine.runplans import exec_plan
from volfuse.engine.streams import Input, Output
from volfuse.errors import CannotStart, Conflict, InvalidSpec, NotFound

__all__ = ["Exec", "ExecConfig", "Execs"]

_KEPT = 256
"""Ended programs that can still be inspected."""


@dataclass(frozen=True, slots=True)
class ExecConfig:
    """What a client asks to run."""

    arguments: list[str]
    environment: list[str] = field(default_factory=list)
    user: str = ""
    directory: str = ""
    tty: bool = False
    privileged: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""


@dataclass(eq=False, slots=True)
class Exec:
    """A further program of a container, from its creation on.

    Attributes:
        exit_code: None until it has ended.
    """

    id: str
    container: ContainerId
    config: ExecConfig
    output: Output
    input: Input | None
    process: Process | None = None
    started: bool = False
    exit_code: int | None = None
    size: tuple[int, int] = (0, 0)

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self.process is not None and self.exit_code is None


class Execs:
    """The further programs of all containers."""

    def __init__(self, containers: Containers, observation: Observation, runner: Runner, ids: Ids) -> None:
        self._containers = containers
        self._observation = observation
        self._runner = runner
        self._ids = ids
        self._lock = threading.Lock()
        self._execs: dict[str, Exec] = {}  # in the order of creation; guarded by _lock

    def create(self, reference: str, config: ExecConfig) -> str:
        """Note what is to be run; return its id.

        Raises:
            NotFound: no such container.
            Conflict: it does not run, or is paused.
            InvalidSpec: no command, or one that cannot be.
        """
        container, _ = self._observation.executing(reference)
        if not config.arguments:
            raise InvalidSpec("No exec command specified")
        check_program(config.arguments, config.environment)
        made = Exec(self._ids.new_id(), container.id, config, Output(), Input() if config.attach_stdin else None)
        with self._lock:
            self._execs[made.id] = made
            ended = [e.id for e in self._execs.values() if e.exit_code is not None]
            for old in ended[:-_KEPT]:
                del self._execs[old]
        self._announce(container, made, f"exec_create: {' '.join(config.arguments)}")
        return made.id

    def get(self, exec_id: str) -> Exec:
        """Return a program by its id.

        Raises:
            NotFound: there is none.
        """
        with self._lock:
            found = self._execs.get(exec_id)
            if found is None:
                matches = [e for key, e in self._execs.items() if exec_id and key.startswith(exec_id)]
                found = matches[0] if len(matches) == 1 else None
        if found is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return found

    def of(self, container: Container) -> list[str]:
        """Return the ids of the programs that run in a container."""
        with self._lock:
            return [e.id for e in self._execs.values() if e.container == container.id and e.running]

    def check_startable(self, exec_id: str) -> Exec:
        """Return a program that can be started.

        Raises:
            Conflict: it has been started, or its container does not run any more.
        """
        found = self.get(exec_id)
        if found.exit_code is not None:
            raise Conflict(f"exec command {exec_id} has already run")
        if found.started:
            raise Conflict(f"exec command {exec_id} is already running")
        self._observation.executing(found.container)
        return found

    def start(self, exec_id: str, on_exit: Callable[[], None] = lambda: None) -> None:
        """Run it.

        Args:
            on_exit: called when it has ended, on any thread; must be quick.

        Raises:
            Conflict: it has been started, or its container does not run any more.
            CannotStart: with Docker's words; its exit code says so too.
        """
        found = self.check_startable(exec_id)
        container, process = self._observation.executing(found.container)
        with self._lock:
            if found.started:
                raise Conflict(f"exec command {exec_id} is already running")
            found.started = True
        config = found.config
        try:
            plan = exec_plan(
                container,
                config.arguments,
                environment=config.environment,
                user=config.user,
                directory=config.directory,
                tty=config.tty,
                privileged=config.privileged,
                size=found.size,
            )
            self._announce(container, found, f"exec_start: {' '.join(config.arguments)}")

            def ended(code: int) -> None:
                found.exit_code = code
                self._announce(container, found, "exec_die", exitCode=str(code))
                on_exit()

            found.process = self._runner.exec(process, plan, found.output, found.input, ended)
        except BaseException as exc:
            found.exit_code = 126
            found.output.end()
            if isinstance(exc, CannotStart):
                text = f"OCI runtime exec failed: exec failed: unable to start container process: {exc}: unknown"
                raise CannotStart(text, found.exit_code) from exc
            raise

    def resize(self, exec_id: str, rows: int, columns: int) -> None:
        """Set the size of its terminal; before the start it is kept for it.

        Raises:
            InvalidSpec: no terminal has that size.
        """
        check_size(rows, columns)
        found = self.get(exec_id)
        found.size = (rows, columns)
        if found.process is not None:
            found.process.resize(rows, columns)

    def announce_detach(self, exec_id: str) -> None:
        """Publish that a client has left a program that goes on."""
        found = self.get(exec_id)
        self._announce(self._containers.get(found.container), found, "exec_detach")

    def _announce(self, container: Container, made: Exec, action: str, **more: str) -> None:
        self._containers.announce(container, action, execID=made.id, **more)
