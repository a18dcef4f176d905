"""Bodies that stream between a client and a worker thread, with back-pressure and flat memory.

Upwards a thread reads a blocking file whose bytes come from the connection as it asks for them; aiohttp stops reading
the socket when its buffer is full. Downwards a thread makes the next chunk when the last one has gone out.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, BinaryIO

import structlog
from aiohttp import ClientPayloadError, StreamReader, web

from volfuse.api.replies import start_stream
from volfuse.api.workers import Workers

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["BODY_BUFFER_BYTES", "StreamAborted", "body_of", "send_chunks"]

BODY_BUFFER_BYTES = 256 * 1024

_log = structlog.get_logger(__name__)


class StreamAborted(ConnectionError):
    """A body ended early: the client went away, or its reply cannot be finished. Nothing more can be answered."""


def body_of(request: web.Request) -> BinaryIO:
    """Return the body of a request as a blocking file, to be read on a worker thread."""
    raw = _BodyReader(request.content, asyncio.get_running_loop())
    return io.BufferedReader(raw, BODY_BUFFER_BYTES)


class _BodyReader(io.RawIOBase):
    """Reads an asyncio stream from another thread."""

    def __init__(self, content: StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._content = content
        self._loop = loop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        coming = asyncio.run_coroutine_threadsafe(self._content.read(len(view)), self._loop)
        try:
            chunk = coming.result()
        except (ConnectionError, ClientPayloadError, CancelledError) as exc:
            raise StreamAborted("the request body ended early: the client went away, or the daemon ends") from exc
        view[: len(chunk)] = chunk
        return len(chunk)


async def send_chunks(
    request: web.Request,
    workers: Workers,
    chunks: Iterator[bytes],
    *,
    content_type: str,
    headers: dict[str, str] | None = None,
) -> web.StreamResponse:
    """Send what an iterator yields, each chunk made on a worker thread; the iterator is closed at the end.

    Raises:
        StreamAborted: the iterator failed after the head was sent; the error middleware cuts the connection.
    """
    response = await start_stream(request, content_type=content_type, headers=headers)
    try:
        while (chunk := await workers.transfer(next, chunks, None)) is not None:
            await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        raise
    except Exception as exc:
        _log.error("reply cut short", path=request.path, exc_info=exc)
        raise StreamAborted(str(exc)) from exc
    finally:
        if close := getattr(chunks, "close", None):
            await workers.transfer(close)
    return response
