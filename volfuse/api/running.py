"""Routes of running containers: start, stop, restart, kill, pause, unpause, wait, resize, top."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from volfuse.api.decode import integer
from volfuse.api.replies import json_line, json_reply, start_stream
from volfuse.api.route import Route
from volfuse.api.sessions import waker
from volfuse.api.workers import Workers
from volfuse.engine.lifecycle import Lifecycle
from volfuse.engine.observation import Observation
from volfuse.engine.runs import Condition
from volfuse.engine.starts import Starts
from volfuse.errors import InvalidSpec

__all__ = ["RunningRoutes"]

_BODY_BYTES = 7
"""A longer body of `start` was a host config once (moby postContainersStart)."""


class RunningRoutes:
    """`/containers/C/…` for programs that run."""

    def __init__(self, starts: Starts, lifecycle: Lifecycle, observation: Observation, workers: Workers) -> None:
        self._starts = starts
        self._lifecycle = lifecycle
        self._observation = observation
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        posts: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
            "start": self.start,
            "stop": self.stop,
            "restart": self.restart,
            "kill": self.kill,
            "pause": self.pause,
            "unpause": self.unpause,
            "wait": self.wait,
            "resize": self.resize,
        }
        for verb, handler in posts.items():
            yield Route("POST", f"/containers/{{name}}/{verb}", handler)
        yield Route("GET", "/containers/{name}/top", self.top)

    async def start(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/C/start`."""
        if (request.content_length or 0) > _BODY_BYTES:
            raise InvalidSpec("starting container with non-empty request body was deprecated since API v1.22")
        started = await self._workers.call(self._starts.start, request.match_info["name"])
        return web.Response(status=204 if started else 304)

    async def stop(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/C/stop`."""
        ran = await self._workers.transfer(
            self._lifecycle.stop,
            request.match_info["name"],
            timeout_s=_timeout_s(request),
            signal=request.query.get("signal", ""),
        )
        return web.Response(status=204 if ran else 304)

    async def restart(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/C/restart`."""
        await self._workers.transfer(
            self._lifecycle.restart,
            request.match_info["name"],
            timeout_s=_timeout_s(request),
            signal=request.query.get("signal", ""),
        )
        return web.Response(status=204)

    async def kill(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/C/kill`."""
        await self._workers.transfer(
            self._lifecycle.kill, request.match_info["name"], signal=request.query.get("signal", "")
        )
        return web.Response(status=204)

    async def pause(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/C/pause`."""
        await self._workers.call(self._lifecycle.pause, request.match_info["name"])
        return web.Response(status=204)

    async def unpause(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/C/unpause`."""
        await self._workers.call(self._lifecycle.unpause, request.match_info["name"])
        return web.Response(status=204)

    async def wait(self, request: web.Request) -> web.StreamResponse:
        """Serve `POST /containers/C/wait`: the head at once, so that a client may start the container then."""
        text = request.query.get("condition") or Condition.NOT_RUNNING.value
        if text not in list(Condition):
            raise InvalidSpec(f'invalid condition: "{text}"')
        ended = asyncio.Event()
        name = request.match_info["name"]
        container, waiting = await self._workers.call(self._observation.wait, name, Condition(text), waker(ended))
        try:
            response = await start_stream(request)
            await ended.wait()
        finally:
            await self._workers.call(self._observation.forget, container, waiting)
        problem = {"Error": {"Message": waiting.error}} if waiting.error else {}
        await response.write(json_line({"StatusCode": waiting.code, **problem}))
        await response.write_eof()
        return response

    async def resize(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/C/resize`."""
        rows, columns = integer(request, "h"), integer(request, "w")
        await self._workers.call(self._lifecycle.resize, request.match_info["name"], rows, columns)
        return web.Response(status=200)

    async def top(self, request: web.Request) -> web.Response:
        """Serve `GET /containers/C/top`."""
        titles, rows = await self._workers.call(
            self._observation.top, request.match_info["name"], request.query.get("ps_args", "")
        )
        return json_reply({"Titles": titles, "Processes": rows})


def _timeout_s(request: web.Request) -> int | None:
    return integer(request, "t") if request.query.get("t") else None
