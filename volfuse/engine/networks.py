"""Use cases of networks, which are names and no more: compose makes one for each project, and puts containers on it.

Containers on a network have a loopback device only, as without one; whoever makes a network is told so.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

import msgspec

from volfuse.core.filters import Filters
from volfuse.core.hostchecks import OWN_NETWORKS
from volfuse.core.ids import ContainerId
from volfuse.core.model import Container, Network, Status
from volfuse.core.ports import Clock, Ids
from volfuse.core.timestamps import until
from volfuse.engine.containers import Containers
from volfuse.engine.ports import Store
from volfuse.engine.state import StateRoot
from volfuse.errors import Conflict, Forbidden, InvalidSpec, NotFound, Unsupported

__all__ = ["WARNING", "Networks"]

WARNING = "volfuse knows networks by name only: containers on them do not reach one another"
_DRIVERS = ("", "default", "bridge")
_ALIVE = (Status.RUNNING, Status.PAUSED, Status.RESTARTING)


class Networks:
    """The networks and who is on them."""

    def __init__(self, state: StateRoot, store: Store, containers: Containers, clock: Clock, ids: Ids) -> None:
        self._state = state
        self._store = store
        self._containers = containers
        self._clock = clock
        self._ids = ids

    def create(self, name: str, *, driver: str, labels: Mapping[str, str], options: Mapping[str, str]) -> Network:
        """Create a network.

        Raises:
            InvalidSpec: no name.
            Conflict: there is one of that name.
            Forbidden: a name of Docker's own networks.
            Unsupported: a driver other than bridge.
        """
        if not name.strip():
            raise InvalidSpec("network name must not be empty")
        if driver not in _DRIVERS:
            raise Unsupported(f"volfuse does not support networks of the driver {driver}: they are names only")
        if name in OWN_NETWORKS:
            raise Forbidden(f"operation is not permitted on predefined {name} network ")
        network = Network(
            id=self._ids.new_id(),
            name=name,
            created_ns=self._clock.now_ns(),
            labels=dict(labels),
            options=dict(options),
        )
        with self._state.change() as change:
            if any(other.name == name for other in self._store.networks()):
                raise Conflict(f"network with name {name} already exists")
            change.rows.put_network(network)
        return network

    def get(self, reference: str) -> Network:
        """Return a network by its id, its name or a unique prefix of its id.

        Raises:
            NotFound: there is none.
            InvalidSpec: the prefix fits several.
        """
        networks = self._store.networks()
        found = [n for n in networks if reference in (n.id, n.name)] or [
            n for n in networks if reference and n.id.startswith(reference)
        ]
        if not found:
            raise NotFound(f"network {reference} not found")
        if len(found) > 1:
            raise InvalidSpec(f"network {reference} is ambiguous ({len(found)} matches found based on ID prefix)")
        return found[0]

    def list(self, filters: Filters) -> builtins.list[Network]:
        """Return the networks that pass `name`, `id`, `label`, `driver`, `type`, `scope` and `dangling`, by name."""
        dangling = filters.boolean("dangling", default=False) if filters.get("dangling") else None
        return [
            network
            for network in self._store.networks()
            if filters.matches("name", network.name)
            and filters.matches("id", network.id)
            and filters.names("driver", "bridge")
            and filters.names("scope", "local")
            and filters.names("type", "custom")
            and filters.labels_match(network.labels)
            and (dangling is None or dangling == (not self.users(network)))
        ]

    def users(self, network: Network) -> builtins.list[Container]:
        """Return the containers on a network, oldest first."""
        return [c for c in self._store.containers() if network.name in c.networks]

    def remove(self, reference: str) -> None:
        """Remove a network.

        Raises:
            NotFound: there is none.
            Forbidden: a container on it runs.
        """
        network = self.get(reference)
        with self._state.change() as change:
            active = [c for c in self.users(network) if c.state.status in _ALIVE]
            if active:
                names = " ".join(f'name:"{c.name}" id:"{c.id[:12]}"' for c in active)
                raise Forbidden(f"error while removing network: network {network.name} has active endpoints ({names})")
            change.rows.delete_network(network.id)

    def prune(self, filters: Filters) -> builtins.list[str]:
        """Remove the networks that no container is on; return their names.

        Args:
            filters: `label`, `label!` and `until`.
        """
        until_ns = until(filters, self._clock.now_ns())
        gone = [
            network
            for network in self._store.networks()
            if not self.users(network)
            and filters.labels_match(network.labels)
            and (until_ns is None or network.created_ns < until_ns)
        ]
        for network in gone:
            self.remove(network.id)
        return [network.name for network in gone]

    def connect(self, reference: str, container: str, endpoint: Mapping[str, Any]) -> None:
        """Put a container on a network.

        Raises:
            NotFound: no such network or container.
            Forbidden: it is on it.
        """
        network, found = self.get(reference), self._containers.get(container)
        if network.name in found.networks:
            raise Forbidden(f"endpoint with name {found.name} already exists in network {network.name}")
        self._set(found.id, network.name, dict(endpoint))

    def disconnect(self, reference: str, container: str) -> None:
        """Take a container off a network.

        Raises:
            NotFound: no such network or container, or it is not on it.
        """
        network, found = self.get(reference), self._containers.get(container)
        if network.name not in found.networks:
            raise NotFound(f"container {found.id} is not connected to network {network.name}")
        self._set(found.id, network.name, None)

    def _set(self, container: ContainerId, network: str, endpoint: dict[str, Any] | None) -> None:
        with self._state.change() as change:
            fresh = self._store.container(container)
            if fresh is None:
                raise NotFound(f"No such container: {container}")
            others = {name: value for name, value in fresh.networks.items() if name != network}
            networks = others if endpoint is None else {**others, network: endpoint}
            change.rows.put_container(msgspec.structs.replace(fresh, networks=networks))
