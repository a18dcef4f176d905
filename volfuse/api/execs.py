"""Routes of further programs in running containers: `/containers/C/exec` and `/exec/E`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from volfuse.api import frames
from volfuse.api.decode import integer, json_body, parse_json
from volfuse.api.hijack import Connection, take_body
from volfuse.api.replies import json_reply
from volfuse.api.route import Route
from volfuse.api.sessions import Session, detach_keys
from volfuse.api.workers import Workers
from volfuse.core.wire import Wire
from volfuse.engine.execs import Exec, ExecConfig, Execs
from volfuse.engine.streams import STDERR, STDOUT
from volfuse.errors import CannotStart, InvalidSpec

__all__ = ["ExecRoutes"]


class ExecRequest(Wire, frozen=True):
    """Body of `POST /containers/C/exec`."""

    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach_keys: str = ""
    tty: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    user: str = ""
    working_dir: str = ""
    privileged: bool = False
    console_size: list[int] | None = None


class ExecStartRequest(Wire, frozen=True):
    """Body of `POST /exec/E/start`."""

    detach: bool = False
    tty: bool = False
    console_size: list[int] | None = None


class ExecRoutes:
    """Programs beside a container's own."""

    def __init__(self, execs: Execs, workers: Workers) -> None:
        self._execs = execs
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        yield Route("POST", "/containers/{name}/exec", self.create)
        yield Route("POST", "/exec/{id}/start", self.start)
        yield Route("POST", "/exec/{id}/resize", self.resize)
        yield Route("GET", "/exec/{id}/json", self.inspect)

    async def create(self, request: web.Request) -> web.Response:
        """Serve `POST /containers/C/exec`."""
        wanted = await json_body(request, ExecRequest)
        detach_keys(wanted.detach_keys)
        config = ExecConfig(
            arguments=wanted.cmd or [],
            environment=wanted.env or [],
            user=wanted.user,
            directory=wanted.working_dir,
            tty=wanted.tty,
            privileged=wanted.privileged,
            attach_stdin=wanted.attach_stdin,
            attach_stdout=wanted.attach_stdout,
            attach_stderr=wanted.attach_stderr,
            detach_keys=wanted.detach_keys,
        )
        made = await self._workers.call(self._execs.create, request.match_info["name"], config)
        return json_reply({"Id": made}, status=201)

    async def start(self, request: web.Request) -> web.StreamResponse:
        """Serve `POST /exec/E/start`: detached, or with the connection as the program's streams."""
        body = await take_body(request)
        wanted = parse_json(body or b"{}", ExecStartRequest)
        found = await self._workers.call(self._execs.check_startable, request.match_info["id"])
        if wanted.console_size and len(wanted.console_size) == 2:
            if not found.config.tty:
                raise InvalidSpec("console size is only supported when using a tty")
            self._execs.resize(found.id, *wanted.console_size)
        if wanted.detach:
            await self._workers.call(self._execs.start, found.id)
            return web.Response(status=200)
        return await self._start_attached(request, found)

    async def _start_attached(self, request: web.Request, found: Exec) -> web.StreamResponse:
        config = found.config
        wanted = ((STDOUT, config.attach_stdout), (STDERR, config.attach_stderr))
        session = Session(
            output=found.output,
            streams=frozenset(number for number, attached in wanted if attached),
            source=found.input,
            close_source=not config.tty,
            tty=config.tty,
            keys=detach_keys(config.detach_keys),
        )
        news = asyncio.Event()
        attachment = session.attach(news)
        try:
            async with Connection(request) as connection:
                await connection.begin(frames.stream_type(request, tty=config.tty))
                try:
                    await self._workers.call(self._execs.start, found.id)
                except CannotStart as exc:
                    text = f"{exc}\r\n".encode()
                    await connection.send(text if config.tty else frames.frame(STDOUT, text))
                else:
                    if await session.serve(connection, attachment, news):
                        await self._workers.call(self._execs.announce_detach, found.id)
        finally:
            attachment.close()
        return web.Response()

    async def resize(self, request: web.Request) -> web.Response:
        """Serve `POST /exec/E/resize`."""
        rows, columns = integer(request, "h"), integer(request, "w")
        await self._workers.call(self._execs.resize, request.match_info["id"], rows, columns)
        return web.Response(status=200)

    async def inspect(self, request: web.Request) -> web.Response:
        """Serve `GET /exec/E/json`."""
        return json_reply(_exec_json(self._execs.get(request.match_info["id"])))


def _exec_json(found: Exec) -> dict[str, Any]:
    config = found.config
    return {
        "ID": found.id,
        "Running": found.running,
        "ExitCode": found.exit_code,
        "ProcessConfig": {
            "tty": config.tty,
            "entrypoint": config.arguments[0],
            "arguments": config.arguments[1:],
            "privileged": config.privileged,
            **({"user": config.user} if config.user else {}),
        },
        "OpenStdin": config.attach_stdin,
        "OpenStderr": config.attach_stderr,
        "OpenStdout": config.attach_stdout,
        "CanRemove": found.exit_code is not None,
        "ContainerID": found.container,
        "DetachKeys": config.detach_keys,
        "Pid": found.process.pid if found.process else 0,
    }
