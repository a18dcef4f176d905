"""Taking a connection over from HTTP: after the head of the reply, both directions carry raw bytes.

The transport gets a protocol of asyncio's own, since aiohttp's closes the connection when the client half-closes it.
What aiohttp has read behind the request is handed on. At the end the connection is closed, and aiohttp told.

Output waits until the client has received the head of the reply by itself: Docker's SDK reads the head through a buffer
and what follows past that buffer, so bytes that it received together with the head would be lost to it.

Source: docker-semantics 5.5.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Self

from aiohttp import hdrs, web

from volfuse.api.replies import reply_headers
from volfuse.sys.unixqueue import is_received

__all__ = ["Connection", "take_body", "wants_upgrade"]

_BUFFER_BYTES = 256 * 1024
_WRITE_BYTES = 256 * 1024
_HEAD_S = 10.0
"""How long output waits for a client that does not receive the head."""
_SHORTEST_S, _LONGEST_S = 0.0002, 0.01
"""Between two looks whether it has."""


def wants_upgrade(request: web.Request) -> bool:
    """Tell whether the client asked for the reply 101."""
    return "upgrade" in request.headers.get(hdrs.CONNECTION, "").lower() and bool(request.headers.get(hdrs.UPGRADE))


async def take_body(request: web.Request) -> bytes:
    """Return the body of a request that may become a hijacked one.

    aiohttp's parsers stop at the head of a request that asks for an upgrade, or behind its body, as they like.
    """
    body = await request.read()
    length = request.content_length or 0
    protocol: Any = request.protocol
    while len(body) < length and wants_upgrade(request):
        tail: bytes = protocol._message_tail
        if not tail:
            await asyncio.sleep(0)
            if request.transport is None or request.transport.is_closing():
                break
            continue
        taken = tail[: length - len(body)]
        protocol._message_tail = tail[len(taken) :]
        body += taken
    return body


class _Protocol(asyncio.StreamReaderProtocol):
    """A stream's protocol that knows whether the connection is gone: its transport cannot be told twice."""

    lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        super().connection_lost(exc)


class Connection:
    """A connection that was taken over; an asynchronous context manager that closes it."""

    def __init__(self, request: web.Request) -> None:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client went away")
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._request = request
        self._http: Any = request.protocol
        loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader(limit=_BUFFER_BYTES, loop=loop)
        self._protocol = _Protocol(self.reader, loop=loop)
        self._writer = asyncio.StreamWriter(transport, self._protocol, self.reader, loop)
        self._head_is_received = False

    async def __aenter__(self) -> Self:
        tail = bytes(self._http._message_tail)
        self._http._message_tail = b""
        self._transport.set_protocol(self._protocol)
        self._transport.set_write_buffer_limits(high=_WRITE_BYTES)
        self.reader.set_transport(self._transport)
        if tail:
            self.reader.feed_data(tail)
        with contextlib.suppress(RuntimeError):  # it was not paused
            self._transport.resume_reading()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._transport.close()
                with contextlib.suppress(ConnectionError):
                    await self._writer.wait_closed()
        finally:  # a client that does not read would hold the connection for ever
            if not self._protocol.lost:
                self._transport.abort()
            self._http.connection_lost(None)

    async def begin(self, content_type: str) -> None:
        """Send the head of the reply."""
        if wants_upgrade(self._request):
            upgrade = self._request.headers[hdrs.UPGRADE]
            lines = ["HTTP/1.1 101 UPGRADED", "Connection: Upgrade", f"Upgrade: {upgrade}"]
        else:
            lines = ["HTTP/1.1 200 OK"]
        lines.append(f"Content-Type: {content_type}")
        lines += [f"{name}: {value}" for name, value in reply_headers().items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        await self._writer.drain()

    async def send(self, output: bytes) -> None:
        """Send bytes behind the head, and wait until there is room for more.

        Raises:
            ConnectionError: the client has gone.
        """
        if not self._head_is_received:
            await self._await_head()
        self._writer.write(output)
        await self._writer.drain()

    async def _await_head(self) -> None:
        socket = self._transport.get_extra_info("socket")
        pause_s = _SHORTEST_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEAD_S):
                while not self._transport.is_closing() and not is_received(socket.fileno()):
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_S)
        self._head_is_received = True
