"""Route of changing limits and restart policies."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from volfuse.api.decode import json_body
from volfuse.api.replies import json_reply
from volfuse.api.route import Route
from volfuse.api.workers import Workers
from volfuse.core.wire import Resources, RestartPolicy
from volfuse.engine.updates import Updates

__all__ = ["UpdateRoutes"]


class UpdateRequest(Resources, frozen=True):
    """Body of `POST /containers/C/update`; a policy without a name is none."""

    restart_policy: RestartPolicy = RestartPolicy(name="")


class UpdateRoutes:
    """`POST /containers/C/update`."""

    def __init__(self, updates: Updates, workers: Workers) -> None:
        self._updates = updates
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the route."""
        yield Route("POST", "/containers/{name}/update", self.update)

    async def update(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/C/update`."""
        wanted = await json_body(request, UpdateRequest)
        policy = wanted.restart_policy if wanted.restart_policy.name else None
        warnings = await self._workers.call(self._updates.update, request.match_info["name"], wanted, policy)
        return json_reply({"Warnings": warnings})
