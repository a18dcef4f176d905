"""Use cases of containers: create, find, list, rename, remove."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from volfuse.core.events import Event, EventType
from volfuse.core.filters import Filters, select_containers
from volfuse.core.ids import ContainerId, VolumeName, check_container_name
from volfuse.core.model import Container, Status
from volfuse.core.names import suggest_name
from volfuse.core.ports import Clock, Ids
from volfuse.core.references import removed_with
from volfuse.core.timestamps import until
from volfuse.core.wire import CreateRequest
from volfuse.engine.create import Creator
from volfuse.engine.events import EventLog
from volfuse.engine.images import Images
from volfuse.engine.ports import Store
from volfuse.engine.runs import Runs
from volfuse.engine.state import StateRoot
from volfuse.engine.views import Views
from volfuse.engine.volumes import Volumes, disk_usage
from volfuse.errors import Conflict, InvalidSpec, NotFound

__all__ = ["Containers", "Created"]


@dataclass(frozen=True, slots=True)
class Created:
    """The answer to a create request."""

    id: ContainerId
    warnings: list[str]


class Containers:
    """The containers and their life, short of running programs."""

    def __init__(
        self,
        *,
        state: StateRoot,
        store: Store,
        images: Images,
        volumes: Volumes,
        views: Views,
        creator: Creator,
        events: EventLog,
        runs: Runs,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._state = state
        self._store = store
        self._images = images
        self._volumes = volumes
        self._views = views
        self._creator = creator
        self._events = events
        self._runs = runs
        self._clock = clock
        self._ids = ids
        self._guard = threading.Lock()
        self._reserved: set[str] = set()  # names being given; guarded by _guard
        self._changing: set[ContainerId] = set()  # guarded by _guard

    def create(self, request: CreateRequest, *, name: str = "") -> Created:
        """Create a container with its volumes and its view.

        Raises:
            NotFound: no such image.
            Conflict: the name is taken.
            InvalidSpec: bad name, mount or option.
        """
        with self._reserve(name) as own_name:
            with self._images.pinned(request.image) as image:
                draft = self._creator.create(request, own_name, image, self.get)
            container = draft.container
            self._views.attach(container)
        for volume in draft.new_volumes:
            self._volumes.announce(volume, "create")
        self.announce(container, "create")
        return Created(container.id, list(draft.warnings))

    @contextmanager
    def _reserve(self, name: str) -> Iterator[str]:
        """Hold a name while it is being given."""
        with self._guard:
            chosen = check_container_name(name) if name else self._free_name()
            self._check_free(chosen)
            self._reserved.add(chosen)
        try:
            yield chosen
        finally:
            with self._guard:
                self._reserved.discard(chosen)

    def _free_name(self) -> str:
        while True:
            name = suggest_name(self._ids)
            if name not in self._reserved and self._store.container_named(name) is None:
                return name

    def _check_free(self, name: str) -> None:
        holder = self._store.container_named(name)
        if holder is None and name not in self._reserved:
            return
        by = f'container "{holder.id}"' if holder else "a container that is just being made"
        raise Conflict(
            f'Conflict. The container name "/{name}" is already in use by {by}. '
            "You have to remove (or rename) that container to be able to reuse that name."
        )

    def get(self, reference: str) -> Container:
        """Return the container of a full id, a name or a unique prefix of an id, tried in this order.

        Raises:
            NotFound: there is none.
            InvalidSpec: the prefix fits several.
        """
        found = self._store.container(ContainerId(reference)) or self._store.container_named(
            reference.removeprefix("/")
        )
        if found is not None:
            return found
        matches = self._store.containers_by_prefix(reference) if reference else []
        if len(matches) > 1:
            raise InvalidSpec(f"multiple IDs found with provided prefix: {reference}")
        if not matches:
            raise NotFound(f"No such container: {reference}")
        return matches[0]

    def list(self, *, all: bool, limit: int = 0, filters: Filters) -> builtins.list[Container]:
        """Return containers that pass the filters, newest first.

        Args:
            all: also those that do not run; a filter for a status or a limit means so too.
            limit: at most so many of the newest, whatever their state; 0 for no limit.
        """
        ancestors = self._images.named(filters.get("ancestor"))
        return select_containers(self._store.containers(), filters, all=all, limit=limit, ancestors=ancestors)

    def rename(self, reference: str, new_name: str) -> None:
        """Give a container another name; its view moves along.

        Raises:
            InvalidSpec: bad name, or the same as before.
            Conflict: the name is taken.
        """
        if not new_name:
            raise InvalidSpec("Neither old nor new names may be empty")
        container = self.get(reference)
        if new_name.removeprefix("/") == container.name:
            raise InvalidSpec("Renaming a container with the same name as its current name")
        with self._mark_changing(container), self._reserve(new_name) as name:
            with self._state.change() as change:
                renamed = msgspec.structs.replace(self._store.container(container.id) or container, name=name)
                change.rows.put_container(renamed)
            self._views.rename(container, name)
        self.announce(renamed, "rename", oldName=f"/{container.name}")

    def remove(self, reference: str, *, volumes: bool = False, force: bool = False) -> None:
        """Remove a container with its private tree.

        Args:
            volumes: also its volumes that nobody named and nobody else uses.
            force: kill its program if it runs.

        Raises:
            NotFound: there is none.
            Conflict: it runs and `force` is not given, or it is being removed.
        """
        container = self.get(reference)
        with self._mark_changing(container):
            if container.state.status in (Status.RUNNING, Status.PAUSED, Status.RESTARTING) and not force:
                raise Conflict(
                    f'cannot remove container "/{container.name}": container is {container.state.status.value}: '
                    "stop the container before removing or force remove"
                )
            gone = self._halt_and_remove(container, volumes=volumes)
        self._runs.announce_removal(container.id, container.state.exit_code)
        for volume in gone:
            self._volumes.announce(volume, "destroy")
        self.announce(container, "destroy")

    @contextmanager
    def _mark_changing(self, container: Container) -> Iterator[None]:
        with self._guard:
            if container.id in self._changing:
                raise Conflict(f"container {container.id} is just being removed or renamed")
            if self._store.container(container.id) is None:
                raise NotFound(f"No such container: {container.id}")
            self._changing.add(container.id)
        try:
            yield
        finally:
            with self._guard:
                self._changing.discard(container.id)

    def _halt_and_remove(self, container: Container, *, volumes: bool) -> builtins.list[VolumeName]:
        while True:
            self._runs.halt(container.id)
            with self._runs.locks.hold([container.id]):
                if self._runs.get(container.id) is None:  # nobody has started it meanwhile
                    return self._remove(container, volumes=volumes)

    def _remove(self, container: Container, *, volumes: bool) -> builtins.list[VolumeName]:
        candidates = sorted(container.volumes) if volumes else []
        with self._volumes.locks.hold(candidates):
            others = [c for c in self._store.containers() if c.id != container.id]
            gone = sorted(removed_with(container, others)) if volumes else []
            with self._state.change() as change:
                change.rows.delete_container(container.id)
                change.discard(self._state.container_dir(container.id))
                for name in gone:
                    self._volumes.delete(change, name)
            self._views.detach(container)
        return gone

    def prune(self, filters: Filters) -> tuple[builtins.list[ContainerId], int]:
        """Remove the containers that do not run; return their ids and the bytes won. Volumes stay.

        Args:
            filters: `label`, `label!` and `until`.
        """
        removed, reclaimed = [], 0
        until_ns = until(filters, self._clock.now_ns())
        for container in self.list(all=True, filters=filters):
            ended = container.state.status in (Status.CREATED, Status.EXITED, Status.DEAD)
            if ended and (until_ns is None or container.created_ns < until_ns):
                size, _ = self.size(container)
                self.remove(container.id)
                removed.append(container.id)
                reclaimed += size
        self._events.publish(
            Event(EventType.CONTAINER, "prune", "", {"reclaimed": str(reclaimed)}, self._clock.now_ns())
        )
        return removed, reclaimed

    def size(self, container: Container) -> tuple[int, int]:
        """Return the bytes of a container's own files, and those together with its image's."""
        own = disk_usage(self._state.container_dir(container.id))
        image = self._store.image(container.image)
        return own, own + (image.size if image else 0)

    def announce(self, container: Container, action: str, **more: str) -> None:
        """Publish what happened to a container."""
        attributes = {
            **(container.config.labels or {}),
            "image": container.image_ref,
            "name": container.name,
            **more,
        }
        self._events.publish(Event(EventType.CONTAINER, action, container.id, attributes, self._clock.now_ns()))
