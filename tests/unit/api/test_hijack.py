"""Connections that are taken over from HTTP."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from volfuse.api.hijack import Connection

_BYTES = 4 * 1024 * 1024


def test_a_connection_whose_output_is_still_to_be_sent_closes_quietly(tmp_path):
    """It closes when a slow client has taken the last of it, after the block's end."""
    ended: asyncio.Future[BaseException | None]

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            async with Connection(request) as connection:
                await connection.begin("x")
                connection._writer.write(bytes(_BYTES))
            ended.set_result(None)
        except BaseException as exc:
            ended.set_result(exc)
            raise
        return web.Response()

    async def run() -> None:
        nonlocal ended
        ended = asyncio.get_running_loop().create_future()
        app = web.Application()
        app.router.add_post("/", serve)
        runner = web.AppRunner(app)
        await runner.setup()
        path = str(tmp_path / "s")
        await web.UnixSite(runner, path).start()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"POST / HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read(-1)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert len(body) == _BYTES
        assert await ended is None
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        await runner.cleanup()

    asyncio.run(run())
