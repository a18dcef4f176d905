"""Routes on containers' own trees: changes, export, commit."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from volfuse.api.decode import boolean, json_body, required
from volfuse.api.replies import json_reply
from volfuse.api.route import Route
from volfuse.api.streams import send_chunks
from volfuse.api.workers import Workers
from volfuse.core.wire import Config
from volfuse.engine.trees import Trees

__all__ = ["TreeRoutes"]


class TreeRoutes:
    """`/containers/C/changes`, `/containers/C/export` and `/commit`."""

    def __init__(self, trees: Trees, workers: Workers) -> None:
        self._trees = trees
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        yield Route("GET", "/containers/{name}/changes", self.changes)
        yield Route("GET", "/containers/{name}/export", self.export)
        yield Route("POST", "/commit", self.commit)

    async def changes(self, request: web.Request) -> web.Response:
        """Serve `GET /containers/C/changes`."""
        found = await self._workers.transfer(self._trees.changes, request.match_info["name"])
        listed = [{"Path": d.path.decode(errors="replace"), "Kind": int(d.kind)} for d in found]
        return json_reply(listed or None)

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Serve `GET /containers/C/export`."""
        chunks = await self._workers.call(self._trees.export, request.match_info["name"])
        return await send_chunks(request, self._workers, chunks, content_type="application/octet-stream")

    async def commit(self, request: web.Request) -> web.Response:
        """Serve `POST /commit`."""
        container = required(request, "container")
        repository, tag = request.query.get("repo", ""), request.query.get("tag", "")
        config = await json_body(request, Config, optional=True) if request.can_read_body else None
        image = await self._workers.transfer(
            self._trees.commit,
            container,
            name=f"{repository}:{tag}" if repository and tag else repository,
            comment=request.query.get("comment", ""),
            author=request.query.get("author", ""),
            changes=[line for text in request.query.getall("changes", []) for line in text.splitlines()],
            config=config,
            pause=boolean(request, "pause", default=True),
        )
        return json_reply({"Id": image.id}, status=201)
