"""Routes of attaching to a container, and of its logs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from aiohttp import web

from volfuse.api import frames
from volfuse.api.decode import boolean, timestamp_ns
from volfuse.api.hijack import Connection
from volfuse.api.render_text import rfc3339_nano
from volfuse.api.replies import start_stream
from volfuse.api.route import Route
from volfuse.api.sessions import Session, detach_keys, waker
from volfuse.api.workers import Workers
from volfuse.core.model import Container
from volfuse.engine.containerlog import ContainerLog, LogEntry, LogReader
from volfuse.engine.containers import Containers
from volfuse.engine.observation import Observation
from volfuse.engine.runs import Run
from volfuse.engine.starts import Starts
from volfuse.engine.streams import STDERR, STDOUT
from volfuse.errors import InvalidSpec

__all__ = ["AttachRoutes"]


class AttachRoutes:
    """`/containers/C/attach` and `/containers/C/logs`."""

    def __init__(self, starts: Starts, observation: Observation, containers: Containers, workers: Workers) -> None:
        self._starts = starts
        self._observation = observation
        self._containers = containers
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        yield Route("POST", "/containers/{name}/attach", self.attach)
        yield Route("GET", "/containers/{name}/logs", self.logs)

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """Serve `POST /containers/C/attach`: the connection carries the program's streams from then on."""
        keys = detach_keys(request.query.get("detachKeys", ""))
        container, run = await self._workers.call(self._starts.attachable, request.match_info["name"])
        session = _session(request, container, run, keys)
        news = asyncio.Event()
        live = boolean(request, "stream")
        past = await self._past(container, session.streams) if boolean(request, "logs") else b""
        attachment = session.attach(news)
        try:
            async with Connection(request) as connection:
                await connection.begin(frames.stream_type(request, tty=container.config.tty))
                if past:
                    await connection.send(past)
                if live and await session.serve(connection, attachment, news):
                    await self._workers.call(self._containers.announce, container, "detach")
        finally:
            attachment.close()
        return web.Response()

    async def _past(self, container: Container, streams: frozenset[int]) -> bytes:
        log = self._observation.log_of(container)
        return await self._workers.transfer(_whole, log, streams, tty=container.config.tty)

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """Serve `GET /containers/C/logs`."""
        streams = _streams(request)
        if not streams:
            raise InvalidSpec("Bad parameters: you must choose at least one stream")
        container, log = await self._workers.call(self._observation.logs, request.match_info["name"])
        reader = await self._workers.transfer(
            LogReader,
            log,
            streams=streams,
            tail=_tail(request.query.get("tail", "")),
            since_ns=timestamp_ns(request, "since") or 0,
            until_ns=timestamp_ns(request, "until") or None,
        )
        news = asyncio.Event()
        stop = log.listen(waker(news))
        try:
            tty = container.config.tty
            response = await start_stream(request, content_type=frames.stream_type(request, tty=tty))
            await self._send(request, response, log, reader, news, tty=tty)
            await response.write_eof()
        finally:
            stop()
            await self._workers.transfer(reader.close)
        return response

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        log: ContainerLog,
        reader: LogReader,
        news: asyncio.Event,
        *,
        tty: bool,
    ) -> None:
        follow, stamps = boolean(request, "follow"), boolean(request, "timestamps")
        while True:
            news.clear()
            going_on = log.writing
            entries = await self._workers.transfer(reader.read)
            if entries is None:
                return
            if entries:
                await response.write(frames.encode(_lines(entries, stamps=stamps), tty=tty))
            elif follow and going_on:
                await news.wait()
            else:
                return


def _session(request: web.Request, container: Container, run: Run, keys: bytes) -> Session:
    config = container.config
    return Session(
        output=run.output,
        streams=_streams(request),
        source=run.input if boolean(request, "stdin") else None,
        close_source=config.stdin_once and not config.tty,
        tty=config.tty,
        keys=keys,
    )


def _streams(request: web.Request) -> frozenset[int]:
    return frozenset(n for n, name in ((STDOUT, "stdout"), (STDERR, "stderr")) if boolean(request, name))


def _tail(text: str) -> int | None:
    """Return how many lines are wanted; anything that is not a number means all, as in moby."""
    return int(text) if text.isascii() and text.isdecimal() else None


def _lines(entries: Sequence[LogEntry], *, stamps: bool) -> list[tuple[int, bytes]]:
    if not stamps:
        return [(entry.stream, entry.line) for entry in entries]
    return [(entry.stream, _stamp(entry.time_ns) + entry.line) for entry in entries]


def _stamp(time_ns: int) -> bytes:
    """Return a time with all nine decimals (moby api/types/time, RFC3339NanoFixed)."""
    whole, _, decimals = rfc3339_nano(time_ns).removesuffix("Z").partition(".")
    return f"{whole}.{decimals:0<9}Z ".encode()


def _whole(log: ContainerLog, streams: frozenset[int], *, tty: bool) -> bytes:
    reader = LogReader(log, streams=streams)
    try:
        parts = []
        while entries := reader.read():
            parts.append(frames.encode(_lines(entries, stamps=False), tty=tty))
        return b"".join(parts)
    finally:
        reader.close()
