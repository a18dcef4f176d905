"""A client attached to a program: its bytes to the input, the program's output to it, until one of them ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from volfuse.api import frames
from volfuse.api.hijack import Connection
from volfuse.core.detachkeys import DEFAULT_KEYS, KeyWatch, parse_keys
from volfuse.engine.streams import Attachment, Input, Output
from volfuse.errors import InvalidSpec

__all__ = ["Session", "detach_keys", "waker"]

_READ_BYTES = 64 * 1024


def waker(news: asyncio.Event) -> Callable[[], None]:
    """Return a function that sets an event of the running loop from any thread."""
    loop = asyncio.get_running_loop()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has just been closed
            loop.call_soon_threadsafe(news.set)

    return wake


def detach_keys(text: str) -> bytes:
    """Return the keys that a request asks for, the default for an empty text.

    Raises:
        InvalidSpec: an unknown key.
    """
    if not text:
        return DEFAULT_KEYS
    try:
        return parse_keys(text)
    except InvalidSpec as exc:
        raise InvalidSpec(f"Invalid detach keys ({text}) provided: {exc}") from exc


class _Left(Enum):
    """How a client's input ended."""

    HALF_CLOSED = auto()
    DETACHED = auto()
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Session:
    """What a client is attached to, and how.

    Attributes:
        streams: numbers of the output streams that it wants.
        source: the program's input, if the client writes to it.
        close_source: the input ends when the client half-closes the connection.
        keys: the detach keys; they count with a terminal only.
    """

    output: Output
    streams: frozenset[int]
    source: Input | None
    close_source: bool
    tty: bool
    keys: bytes

    def attach(self, news: asyncio.Event) -> Attachment:
        """Begin to collect output."""
        return self.output.attach(waker(news), self.streams)

    async def serve(self, connection: Connection, attachment: Attachment, news: asyncio.Event) -> bool:
        """Move bytes until the output ends or the client goes away; tell whether it was by the detach keys.

        Without an output stream it lasts until the client's input ends.
        """
        reading = asyncio.ensure_future(self._read(connection))
        writing = asyncio.ensure_future(self._write(connection, attachment, news))
        try:
            await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and not writing.done():
                if reading.result() is not _Left.HALF_CLOSED:
                    return reading.result() is _Left.DETACHED
                await writing
            return False
        except ConnectionError:  # the client went away: the program goes on
            return False
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    async def _read(self, connection: Connection) -> _Left:
        """Take what the client sends, waiting while the program has no room for more."""
        feed = KeyWatch(self.keys).feed if self.tty else None
        room = asyncio.Event()
        wake = waker(room)
        while True:
            try:
                chunk = await connection.reader.read(_READ_BYTES)
            except ConnectionError:
                return _Left.GONE
            if not chunk:
                break
            detached = False
            if feed is not None:
                chunk, detached = feed(chunk)
            if self.source is not None and chunk:
                room.clear()
                if not self.source.write(chunk, wake):
                    await room.wait()
            if detached:
                return _Left.DETACHED
        if self.source is not None and self.close_source:
            self.source.end()
        return _Left.HALF_CLOSED

    async def _write(self, connection: Connection, attachment: Attachment, news: asyncio.Event) -> None:
        while True:
            news.clear()
            ended = attachment.ended
            if chunks := attachment.take():
                await connection.send(frames.encode(chunks, tty=self.tty))
            elif ended:
                return
            else:
                await news.wait()
