"""What is kept of containers' runs: the state in the store, the logs, the events of mounts."""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from volfuse.core.ids import ContainerId
from volfuse.core.model import Container, MountType, State
from volfuse.core.ports import Clock
from volfuse.engine.containerlog import ContainerLog
from volfuse.engine.ports import Store
from volfuse.engine.state import StateRoot
from volfuse.engine.volumes import Volumes
from volfuse.errors import NotFound

__all__ = ["RunRecords"]


class RunRecords:
    """Writes down what happens to programs. Safe to call from any thread."""

    def __init__(self, state: StateRoot, store: Store, volumes: Volumes, clock: Clock) -> None:
        self._state = state
        self._store = store
        self._volumes = volumes
        self._clock = clock
        self._guard = threading.Lock()
        self._logs: dict[ContainerId, ContainerLog] = {}  # guarded by _guard

    def fresh(self, container: ContainerId) -> Container:
        """Return a container as it is in the store now.

        Raises:
            NotFound: it has been removed.
        """
        found = self._store.container(container)
        if found is None:
            raise NotFound(f"No such container: {container}")
        return found

    def set_state(self, container: ContainerId, restart_count: int | None = None, **changes: Any) -> Container:  # noqa: ANN401
        """Change fields of a container's state, and how often it was started again; return the container.

        Raises:
            NotFound: it has been removed.
        """
        with self._state.change() as change:
            fresh = self.fresh(container)
            state: State = msgspec.structs.replace(fresh.state, **changes)
            count = fresh.restart_count if restart_count is None else restart_count
            changed = msgspec.structs.replace(fresh, state=state, restart_count=count)
            change.rows.put_container(changed)
        return changed

    def log_of(self, container: Container) -> ContainerLog:
        """Return the log of a container's output."""
        with self._guard:
            return self._logs.setdefault(container.id, self._make_log(container))

    def forget(self, container: ContainerId) -> None:
        """Let go of what is kept here for a container that was removed."""
        with self._guard:
            self._logs.pop(container, None)

    def _make_log(self, container: Container) -> ContainerLog:
        directory = self._state.container_dir(container.id) / "logs"
        return ContainerLog(directory, self._clock, container.host_config.log_config.config)

    def announce_mounts(self, container: Container) -> None:
        """Publish that a container uses its volumes."""
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

    def announce_unmounts(self, container: Container) -> None:
        """Publish that it uses them no more."""
        for mount in container.mounts:
            if mount.type is MountType.VOLUME and mount.name:
                self._volumes.announce(mount.name, "unmount", container=container.id)
