"""Use case of changing a container's limits and restart policy, also while it runs."""

from __future__ import annotations

import os
from collections.abc import Collection

import msgspec

from volfuse.core.model import Container
from volfuse.core.resources import Controller, limited, updated
from volfuse.core.restart import check_policy
from volfuse.core.wire import Resources, RestartPolicy
from volfuse.engine.containers import Containers
from volfuse.engine.runplans import limits_of
from volfuse.engine.runrecords import RunRecords
from volfuse.engine.runs import Runs
from volfuse.engine.state import StateRoot

__all__ = ["Updates"]


class Updates:
    """Changes containers that exist."""

    def __init__(
        self,
        state: StateRoot,
        containers: Containers,
        records: RunRecords,
        runs: Runs,
        controllers: Collection[Controller],
    ) -> None:
        self._state = state
        self._containers = containers
        self._records = records
        self._runs = runs
        self._controllers = controllers

    def update(self, reference: str, limits: Resources, policy: RestartPolicy | None = None) -> list[str]:
        """Change the limits of a container, and its restart policy if one is given; return warnings.

        Raises:
            InvalidSpec: a limit that is not possible, not a policy, or one that does not go with AutoRemove.
            Conflict: a limit that does not go with those there are.
            Internal: the kernel refuses a limit; then all is as it was.
        """
        container = self._containers.get(reference)
        limits, warnings = limited(limits, self._controllers, os.cpu_count() or 1, update=True)
        with self._runs.locks.hold([container.id]):
            changed = self._changed(self._records.fresh(container.id), limits, policy)
            run = self._runs.get(container.id)
            if run is not None and run.process is not None and not run.exited.is_set():
                run.process.limit(limits_of(changed.host_config))
            with self._state.change() as change:
                change.rows.put_container(changed)
        self._containers.announce(container, "update")
        return warnings

    @staticmethod
    def _changed(container: Container, limits: Resources, policy: RestartPolicy | None) -> Container:
        host = updated(container.host_config, limits)
        if policy is not None:
            host = msgspec.structs.replace(host, restart_policy=policy)
            check_policy(host)
        return msgspec.structs.replace(container, host_config=host)
