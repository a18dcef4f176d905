"""Use cases that look at containers' programs and change nothing: top, wait, logs."""

from __future__ import annotations

from collections.abc import Callable

from volfuse.core.ids import ContainerId
from volfuse.core.model import Container, Status
from volfuse.core.usage import Usage
from volfuse.engine.containerlog import ContainerLog
from volfuse.engine.containers import Containers
from volfuse.engine.ports import Process, Store
from volfuse.engine.runrecords import RunRecords
from volfuse.engine.runs import Condition, Run, Runs, Wait
from volfuse.errors import Conflict, Unsupported

__all__ = ["Observation"]

_ALIVE = (Status.RUNNING, Status.PAUSED, Status.RESTARTING)


class Observation:
    """Reads what programs do and did."""

    def __init__(self, store: Store, containers: Containers, records: RunRecords, runs: Runs) -> None:
        self._store = store
        self._containers = containers
        self._records = records
        self._runs = runs

    def top(self, reference: str, ps_arguments: str = "") -> tuple[list[str], list[list[str]]]:
        """Return the head and the lines of ps(1) for a container's processes.

        Raises:
            Conflict: it does not run.
            InvalidSpec: ps does not take the arguments, or shows no process ids.
        """
        container, _, process = self.running(reference)
        table = process.top(ps_arguments or "-ef")
        self._containers.announce(container, "top")
        return table

    def usage(self, reference: str) -> tuple[Container, Usage | None]:
        """Return a container and what it uses, nothing where it does not run."""
        container = self._containers.get(reference)
        run = self._runs.get(container.id)
        if run is None or run.process is None or run.exited.is_set():
            return container, None
        return container, run.process.usage()

    def running(self, reference: str) -> tuple[Container, Run, Process]:
        """Return a container that runs or is paused, its run and its process.

        Raises:
            Conflict: it does not run.
        """
        container = self._containers.get(reference)
        run = self._runs.get(container.id)
        if run is None or run.process is None or container.state.status is Status.RESTARTING:
            raise Conflict(f"container {container.id} is not running")
        return container, run, run.process

    def executing(self, reference: str) -> tuple[Container, Process]:
        """Return a container and its process, for a further program.

        Raises:
            Conflict: it does not run, or is paused.
        """
        container, run, process = self.running(reference)
        if run.paused:
            raise Conflict(f"container {container.name} is paused, unpause the container before exec")
        return container, process

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

    def logs(self, reference: str) -> tuple[Container, ContainerLog]:
        """Return a container and its log.

        Raises:
            Unsupported: its output is not kept.
        """
        container = self._containers.get(reference)
        if container.host_config.log_config.type == "none":
            raise Unsupported("configured logging driver does not support reading")
        return container, self._records.log_of(container)

    def log_of(self, container: Container) -> ContainerLog:
        """Return the log of a container's output."""
        return self._records.log_of(container)
