"""Routes of volumes."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from volfuse.api.decode import boolean, filters_of, json_body
from volfuse.api.render_volume import volume_json
from volfuse.api.replies import json_reply
from volfuse.api.route import Route
from volfuse.api.versioning import version_of
from volfuse.api.workers import Workers
from volfuse.core.filters import VOLUME_LIST, VOLUME_PRUNE
from volfuse.core.wire import Wire
from volfuse.engine.volumes import Volumes
from volfuse.errors import Unavailable

__all__ = ["VolumeRoutes"]


class _CreateVolume(Wire, frozen=True):
    """Body of `POST /volumes/create`."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class VolumeRoutes:
    """`/volumes`: create, list, inspect, remove, prune."""

    def __init__(self, volumes: Volumes, workers: Workers) -> None:
        self._volumes = volumes
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        yield Route("GET", "/volumes", self.list)
        yield Route("POST", "/volumes/create", self.create)
        yield Route("POST", "/volumes/prune", self.prune)
        yield Route("GET", "/volumes/{name:.+}", self.inspect)
        yield Route("PUT", "/volumes/{name:.+}", self.update)
        yield Route("DELETE", "/volumes/{name:.+}", self.remove)

    async def list(self, request: web.Request) -> web.Response:
        """Serve `GET /volumes`."""
        volumes = await self._workers.call(self._volumes.list, filters_of(request, VOLUME_LIST))
        return json_reply({"Volumes": [volume_json(v, self._volumes.mountpoint(v)) for v in volumes], "Warnings": None})

    async def create(self, request: web.Request) -> web.Response:
        """Serve `POST /volumes/create`."""
        wanted = await json_body(request, _CreateVolume, optional=True)
        volume = await self._workers.call(
            self._volumes.create,
            wanted.name,
            driver=wanted.driver,
            options=wanted.driver_opts,
            labels=wanted.labels,
        )
        return json_reply(volume_json(volume, self._volumes.mountpoint(volume)), status=201)

    async def inspect(self, request: web.Request) -> web.Response:
        """Serve `GET /volumes/N`."""
        volume = await self._workers.call(self._volumes.get, request.match_info["name"])
        return json_reply(volume_json(volume, self._volumes.mountpoint(volume)))

    async def update(self, _request: web.Request) -> web.Response:
        """Serve `PUT /volumes/N`, which is about cluster volumes."""
        raise Unavailable("This node is not a swarm manager: volfuse has no cluster volumes")

    async def remove(self, request: web.Request) -> web.Response:
        """Serve `DELETE /volumes/N`."""
        await self._workers.call(self._volumes.remove, request.match_info["name"], force=boolean(request, "force"))
        return web.Response(status=204)

    async def prune(self, request: web.Request) -> web.Response:
        """Serve `POST /volumes/prune`."""
        names, reclaimed = await self._workers.call(
            self._volumes.prune, filters_of(request, VOLUME_PRUNE), api_version=version_of(request)
        )
        return json_reply({"VolumesDeleted": names, "SpaceReclaimed": reclaimed})
