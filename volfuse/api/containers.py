"""Routes of containers, short of running programs."""

from __future__ import annotations

import builtins
import time
from collections.abc import Iterable, Sequence

from aiohttp import web

from volfuse.api.decode import boolean, filters_of, integer, json_body
from volfuse.api.render_container import container_json, container_summary_json
from volfuse.api.replies import json_reply
from volfuse.api.route import Route
from volfuse.api.workers import Workers
from volfuse.core.filters import CONTAINER_LIST, CONTAINER_PRUNE, Filters
from volfuse.core.model import Container
from volfuse.core.wire import CreateRequest
from volfuse.engine.engine import Engine
from volfuse.engine.images import Images
from volfuse.errors import VolfuseError

__all__ = ["ContainerRoutes", "list_entries"]


class ContainerRoutes:
    """`/containers`: create, list, inspect, rename, remove, prune."""

    def __init__(self, engine: Engine, workers: Workers) -> None:
        self._engine = engine
        self._containers = engine.containers
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        yield Route("GET", "/containers/json", self.list)
        yield Route("POST", "/containers/create", self.create)
        yield Route("POST", "/containers/prune", self.prune)
        yield Route("GET", "/containers/{name}/json", self.inspect)
        yield Route("POST", "/containers/{name}/rename", self.rename)
        yield Route("DELETE", "/containers/{name}", self.remove)

    async def create(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/create`."""
        wanted = await json_body(request, CreateRequest)
        created = await self._workers.call(self._containers.create, wanted, name=request.query.get("name", ""))
        return json_reply({"Id": created.id, "Warnings": created.warnings}, status=201)

    async def list(self, request: web.Request) -> web.Response:
        """Serve `GET /containers/json`."""
        filters = _with_window(filters_of(request, CONTAINER_LIST), request)
        limit = max(integer(request, "limit"), 0)
        return json_reply(
            await self._workers.call(
                lambda: list_entries(
                    self._engine,
                    self._containers.list(all=boolean(request, "all"), limit=limit, filters=filters),
                    size=boolean(request, "size"),
                )
            )
        )

    async def inspect(self, request: web.Request) -> web.Response:
        """Serve `GET /containers/C/json`."""
        container = await self._workers.call(self._containers.get, request.match_info["name"])
        size = await self._workers.call(self._containers.size, container) if boolean(request, "size") else None
        return json_reply(container_json(container, size=size))

    async def rename(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/C/rename`."""
        await self._workers.call(self._containers.rename, request.match_info["name"], request.query.get("name", ""))
        return web.Response(status=204)

    async def remove(self, request: web.Request) -> web.Response:
        """Serve `DELETE /containers/C`."""
        await self._workers.call(
            self._containers.remove,
            request.match_info["name"],
            volumes=boolean(request, "v"),
            force=boolean(request, "force"),
        )
        return web.Response(status=204)

    async def prune(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/prune`."""
        removed, reclaimed = await self._workers.call(self._containers.prune, filters_of(request, CONTAINER_PRUNE))
        return json_reply({"ContainersDeleted": removed, "SpaceReclaimed": reclaimed})


def _with_window(filters: Filters, request: web.Request) -> Filters:
    """Add the parameters `since` and `before`, which old clients send beside the filters."""
    window = {key: (request.query[key],) for key in ("since", "before") if request.query.get(key)}
    return Filters({**filters.values, **window})


def list_entries(engine: Engine, found: Sequence[Container], *, size: bool) -> builtins.list[dict[str, object]]:
    """Return the list entries of containers (on a worker thread)."""
    now_ns = time.time_ns()
    names: dict[str, str] = {}
    for container in found:
        if container.image_ref not in names:
            names[container.image_ref] = _image_of(engine.images, container.image_ref)
    return [
        container_summary_json(
            container,
            now_ns=now_ns,
            image_name=container.image_ref if names[container.image_ref] == container.image else container.image,
            size=engine.containers.size(container) if size else None,
        )
        for container in found
    ]


def _image_of(images: Images, reference: str) -> str:
    """Return the id of the image that a reference names now, empty for none."""
    try:
        return images.get(reference).id
    except VolfuseError:
        return ""
