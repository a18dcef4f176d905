"""Route of the change feed: lines of JSON or server-sent events, with a place to go on from.

Source of the second form: WHATWG HTML, server-sent events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from aiohttp import ClientConnectionResetError, hdrs, web

from volfuse.api.decode import boolean, integer, timestamp_ns
from volfuse.api.events import wake
from volfuse.api.replies import start_stream
from volfuse.api.route import Route
from volfuse.api.workers import Workers
from volfuse.core.feed import Change, Cursor, Gap, Selection, encode_change, encode_gap
from volfuse.engine.changefeed import LINGER_S, ChangeFeed
from volfuse.engine.containers import Containers
from volfuse.engine.views import Views
from volfuse.engine.volumes import Volumes
from volfuse.errors import InvalidSpec, NotFound

__all__ = ["CURSOR", "FeedRoutes"]

CURSOR: Final = "Volfuse-Cursor"
"""Header of the reply: the place at which it begins."""

_EVENT_STREAM: Final = "text/event-stream"
_LINES: Final = "application/x-ndjson"
_AT_ONCE: Final = 64
"""Changes that are encoded without letting anybody else go on."""
_PAUSE_S: Final = 0.001
"""Between two looks at the feed while changes come."""
_BEHIND_BYTES: Final = 1 << 16
"""What may wait for a client before it is taken for slow."""
_BEAT_S: Final = 15.0
"""How often a quiet stream of events shows that it is alive (proxies and browsers give up on silent ones)."""


class FeedRoutes:
    """`GET /volfuse/changes`."""

    def __init__(
        self, feed: ChangeFeed, containers: Containers, volumes: Volumes, views: Views, workers: Workers
    ) -> None:
        self._feed = feed
        self._views = views
        self._containers = containers
        self._volumes = volumes
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the route."""
        yield Route("GET", "/volfuse/changes", self.changes)

    async def changes(self, request: web.Request) -> web.StreamResponse:
        """Serve the changes that are kept, and with `follow` those that come, until the client or the daemon ends."""
        wanted = await self._workers.call(self._selection, request)
        follow = boolean(request, "follow")
        if latest := integer(request, "latest"):
            return _whole(self._feed.incarnation, self._feed.latest(wanted.takes, latest))
        events = _EVENT_STREAM in request.headers.get(hdrs.ACCEPT, "")
        cursor = self._cursor(request, follow=follow)
        if follow:
            return await self._follow(request, wanted, cursor, events=events)
        stream = await self._begin(request, wanted, cursor, events=events)
        await stream.drain(self._feed.end)
        await stream.response.write_eof()
        return stream.response

    async def _begin(self, request: web.Request, wanted: Selection, cursor: Cursor, *, events: bool) -> _Stream:
        content_type = _EVENT_STREAM if events else _LINES
        response = await start_stream(request, content_type=content_type, headers={CURSOR: str(cursor)})
        return _Stream(request, response, self._feed, wanted, cursor, _event if events else _line)

    async def _follow(
        self, request: web.Request, wanted: Selection, cursor: Cursor, *, events: bool
    ) -> web.StreamResponse:
        """Send what comes. The head is sent when the host's changes are heard too."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        news.set()
        # While it is set nobody is woken: the stream looks by itself whether something has come.
        reading = self._feed.reading(lambda: None if news.is_set() else wake(loop, news), wanted)
        await self._workers.call(reading.__enter__)
        try:
            stream = await self._begin(request, wanted, cursor, events=events)
            while not self._feed.ended:
                news.set()
                await stream.drain()
                await stream.keep_up()
                news.clear()
                if stream.goes_on:
                    continue
                try:
                    async with asyncio.timeout(_BEAT_S if events else None):
                        await news.wait()
                except TimeoutError:
                    await stream.response.write(b":\n\n")
        finally:
            await self._workers.call(reading.__exit__, None, None, None)
        await stream.response.write_eof()
        return stream.response

    def _cursor(self, request: web.Request, *, follow: bool) -> Cursor:
        """Return where to begin: at a cursor, at a time, else with what is kept or, to follow, with what comes."""
        since = request.query.get("since", "") or request.headers.get("Last-Event-ID", "")
        if not since:
            return self._feed.end if follow else Cursor(self._feed.incarnation, 0)
        if "-" in since.lstrip("-"):
            return Cursor.parse(since)
        since_ns = timestamp_ns(request, "since")
        if since_ns is None:
            raise InvalidSpec(f"bad cursor: {since!r}")
        return self._feed.since(since_ns)

    def _selection(self, request: web.Request) -> Selection:
        query = request.query
        if at := query.get("at", ""):
            return self._views.place_of(at)
        container = self._container(query["container"]) if query.get("container") else ""
        volume = query.get("volume", "")
        if volume and not volume.startswith("/") and not self._feed.latest(Selection(volume).takes, 1):
            self._volumes.get(volume)
        return Selection(volume, container, query.get("path", "").strip("/").encode(errors="surrogateescape"))

    def _container(self, name: str) -> str:
        try:
            return self._containers.get(name).id
        except NotFound:
            gone = self._feed.latest(lambda c: name in (c.origin, c.done.through.container), 1)
            if not gone:
                raise
            return gone[0].done.through.container


class _Stream:
    """A reply that is being written, and how far the feed has been read for it."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        feed: ChangeFeed,
        wanted: Selection,
        cursor: Cursor,
        form: Callable[[bytes, str, str], bytes],
    ) -> None:
        self.response = response
        self._request = request
        self._feed = feed
        self._wanted = wanted
        self._cursor = cursor
        self._form = form

    @property
    def goes_on(self) -> bool:
        """Whether there may be something to write, or the feed is at its end."""
        return self._feed.ended or self._feed.goes_on(self._cursor)

    async def drain(self, end: Cursor | None = None) -> None:
        """Write what there is, up to a place."""
        while True:
            gap, changes, cursor = self._feed.after(self._cursor, _AT_ONCE)
            text = self._text(gap, changes, cursor)
            self._cursor = cursor
            if text:
                await self.response.write(text)
            if len(changes) < _AT_ONCE or (end is not None and cursor.sequence >= end.sequence):
                return
            await asyncio.sleep(0)

    async def keep_up(self) -> None:
        """Write what comes, until nothing has come for a while, or the client does not keep up.

        Time is what goes by here, and no task or thread is woken: that takes several times as long as all else that is
        done for a change, and in the way of who serves requests.
        """
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        until_s = loop.time() + 2 * LINGER_S

        def look() -> None:
            nonlocal until_s
            if over.done():
                return
            try:
                came, is_behind = self._write_new(), self._is_behind
            except Exception as exc:  # noqa: BLE001 (it is for who awaits)
                over.set_exception(exc)
                return
            now_s = loop.time()
            if came:
                until_s = now_s + 2 * LINGER_S
            if self._feed.ended or is_behind or now_s > until_s:
                over.set_result(None)
            else:
                loop.call_later(_PAUSE_S if came else 2 * _PAUSE_S, look)

        loop.call_later(_PAUSE_S, look)
        await over

    @property
    def _transport(self) -> asyncio.Transport:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ClientConnectionResetError("the client went away")
        return transport

    @property
    def _is_behind(self) -> bool:
        return self._transport.get_write_buffer_size() > _BEHIND_BYTES

    def _write_new(self) -> bool:
        """Write some of what is new, as a chunk of the body; say whether there was anything."""
        transport, begin = self._transport, self._cursor
        if not self.goes_on:
            return False
        gap, changes, self._cursor = self._feed.after(begin, _AT_ONCE)
        if text := self._text(gap, changes, self._cursor):
            transport.write(b"%x\r\n%b\r\n" % (len(text), text))
        return self._cursor != begin

    def _text(self, gap: Gap | None, changes: Iterable[Change], cursor: Cursor) -> bytes:
        parts = []
        if gap is not None:
            parts.append(self._form(encode_gap(gap, cursor), str(cursor), "missed"))
        for change in changes:
            if self._wanted.takes(change):
                place = f"{cursor.incarnation}-{change.sequence}"
                parts.append(self._form(encode_change(change, cursor.incarnation), place, ""))
        return b"".join(parts)


def _whole(incarnation: str, changes: Iterable[Change]) -> web.Response:
    body = b"".join(encode_change(change, incarnation) + b"\n" for change in changes)
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: _LINES})


def _line(text: bytes, _place: str, _name: str) -> bytes:
    return text + b"\n"


def _event(text: bytes, place: str, name: str) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}id: {place}\ndata: ".encode() + text + b"\n\n"
