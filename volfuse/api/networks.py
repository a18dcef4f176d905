"""Routes of networks, which are names and no more (`engine.networks`)."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from volfuse.api.decode import filters_of, json_body
from volfuse.api.render_text import rfc3339_nano
from volfuse.api.replies import json_reply
from volfuse.api.route import Route
from volfuse.api.workers import Workers
from volfuse.core.filters import NETWORK_LIST, NETWORK_PRUNE
from volfuse.core.model import Network
from volfuse.core.wire import Wire
from volfuse.engine.networks import WARNING, Networks

__all__ = ["NetworkRoutes"]


class _CreateNetwork(Wire, frozen=True):
    """Body of `POST /networks/create`, as far as it matters to a name."""

    name: str = ""
    driver: str = ""
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class _Connection(Wire, frozen=True):
    """Body of `POST /networks/N/connect` and `disconnect`."""

    container: str = ""
    endpoint_config: dict[str, Any] | None = None


class NetworkRoutes:
    """`/networks`: create, list, inspect, remove, connect, disconnect, prune."""

    def __init__(self, networks: Networks, workers: Workers) -> None:
        self._networks = networks
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        yield Route("GET", "/networks", self.list)
        yield Route("POST", "/networks/create", self.create)
        yield Route("POST", "/networks/prune", self.prune)
        yield Route("GET", "/networks/{name}", self.inspect)
        yield Route("DELETE", "/networks/{name}", self.remove)
        yield Route("POST", "/networks/{name}/connect", self.connect)
        yield Route("POST", "/networks/{name}/disconnect", self.disconnect)

    async def list(self, request: web.Request) -> web.Response:
        """Serve `GET /networks`."""
        found = await self._workers.call(self._networks.list, filters_of(request, NETWORK_LIST))
        return json_reply([_network_json(network) for network in found])

    async def create(self, request: web.Request) -> web.Response:
        """Serve `POST /networks/create`."""
        wanted = await json_body(request, _CreateNetwork)
        network = await self._workers.call(
            self._networks.create,
            wanted.name,
            driver=wanted.driver,
            labels=wanted.labels or {},
            options=wanted.options or {},
        )
        return json_reply({"Id": network.id, "Warning": WARNING}, status=201)

    async def inspect(self, request: web.Request) -> web.Response:
        """Serve `GET /networks/N`."""
        return json_reply(await self._workers.call(self._inspected, request.match_info["name"]))

    def _inspected(self, reference: str) -> dict[str, Any]:
        network = self._networks.get(reference)
        addresses = dict.fromkeys(("EndpointID", "MacAddress", "IPv4Address", "IPv6Address"), "")
        containers = {c.id: {"Name": c.name, **addresses} for c in self._networks.users(network) if c.state.pid}
        return _network_json(network) | {"Containers": containers}

    async def remove(self, request: web.Request) -> web.Response:
        """Serve `DELETE /networks/N`."""
        await self._workers.call(self._networks.remove, request.match_info["name"])
        return web.Response(status=204)

    async def connect(self, request: web.Request) -> web.Response:
        """Serve `POST /networks/N/connect`."""
        wanted = await json_body(request, _Connection)
        await self._workers.call(
            self._networks.connect, request.match_info["name"], wanted.container, wanted.endpoint_config or {}
        )
        return web.Response(status=200)

    async def disconnect(self, request: web.Request) -> web.Response:
        """Serve `POST /networks/N/disconnect`."""
        wanted = await json_body(request, _Connection)
        await self._workers.call(self._networks.disconnect, request.match_info["name"], wanted.container)
        return web.Response(status=200)

    async def prune(self, request: web.Request) -> web.Response:
        """Serve `POST /networks/prune`."""
        names: builtins.list[str] = await self._workers.call(self._networks.prune, filters_of(request, NETWORK_PRUNE))
        return json_reply({"NetworksDeleted": names})


def _network_json(network: Network) -> dict[str, Any]:
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": rfc3339_nano(network.created_ns),
        "Scope": "local",
        "Driver": "bridge",
        "EnableIPv4": False,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": True,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": network.options,
        "Labels": network.labels,
    }
