"""Route of what containers use: once, or every second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from aiohttp import web

from volfuse.api.decode import boolean
from volfuse.api.render_stats import stats_json
from volfuse.api.replies import json_line, json_reply, start_stream
from volfuse.api.route import Route
from volfuse.api.workers import Workers
from volfuse.engine.observation import Observation
from volfuse.errors import InvalidSpec, NotFound

__all__ = ["StatsRoutes"]

_INTERVAL_S = 1.0


class StatsRoutes:
    """`GET /containers/C/stats`."""

    def __init__(self, observation: Observation, workers: Workers, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._observation = observation
        self._workers = workers
        self._now_ns = now_ns

    def routes(self) -> Iterable[Route]:
        """Return the route."""
        yield Route("GET", "/containers/{name}/stats", self.stats)

    async def stats(self, request: web.Request) -> web.StreamResponse:
        """Serve `GET /containers/C/stats`: the first sample at once, since clients wait for it."""
        stream, one_shot = boolean(request, "stream", default=True), boolean(request, "one-shot")
        if stream and one_shot:
            raise InvalidSpec("cannot have stream=true and one-shot=true")
        samples = self._samples(request.match_info["name"])
        sample = await anext(samples)
        if not stream:
            if not one_shot and sample["cpu_stats"].get("online_cpus"):
                sample = await anext(samples, sample)  # so that there is one before it
            return json_reply(sample)
        response = await start_stream(request)
        await response.write(json_line(sample))
        async for sample in samples:
            await response.write(json_line(sample))
        await response.write_eof()
        return response

    async def _samples(self, name: str) -> AsyncIterator[dict[str, Any]]:
        """Give a sample, and another every second, until the container is removed."""
        last_ns, last = 0, None
        container, usage = await self._workers.call(self._observation.usage, name)
        while True:
            now_ns = self._now_ns()
            yield stats_json(container, now_ns, usage, last_ns, last)
            last_ns, last = now_ns, usage
            await asyncio.sleep(_INTERVAL_S)
            try:
                container, usage = await self._workers.call(self._observation.usage, container.id)
            except NotFound:
                return
