"""Route of events: a stream that begins at once and ends with `until`, the client, or the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from aiohttp import web

from volfuse.api.decode import filters_of, timestamp_ns
from volfuse.api.replies import start_stream
from volfuse.api.route import Route
from volfuse.api.streams import StreamAborted
from volfuse.core.events import FILTER_KEYS, Event, encode_event, event_matches
from volfuse.engine.events import EventLog, Subscription
from volfuse.errors import InvalidSpec

__all__ = ["EventRoutes", "wake"]

_NS = 1_000_000_000


class EventRoutes:
    """`GET /events`."""

    def __init__(self, events: EventLog, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._events = events
        self._now_ns = now_ns

    def routes(self) -> Iterable[Route]:
        """Return the route."""
        yield Route("GET", "/events", self.stream)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Serve `GET /events`: what is kept since then, then what comes, one line each."""
        since_ns, until_ns = timestamp_ns(request, "since"), timestamp_ns(request, "until")
        if since_ns is not None and until_ns is not None and since_ns > until_ns:
            raise InvalidSpec(f"`since` time ({since_ns}) cannot be after `until` time ({until_ns})")
        wanted = filters_of(request, dict.fromkeys(FILTER_KEYS)).values
        if since_ns is None and until_ns is not None:
            since_ns = 0
        news = asyncio.Event()
        loop = asyncio.get_running_loop()
        with self._events.subscribe(lambda: wake(loop, news), since_ns=since_ns) as subscription:
            response = await start_stream(request)
            await self._follow(response, subscription, news, wanted, until_ns)
        if subscription.overflowed:
            raise StreamAborted("the client reads events too slowly")
        await response.write_eof()
        return response

    async def _follow(
        self,
        response: web.StreamResponse,
        subscription: Subscription,
        news: asyncio.Event,
        wanted: Mapping[str, Collection[str]],
        until_ns: int | None,
    ) -> None:
        """Write the events that pass, until the subscription ends or the time has come."""
        while True:
            left_s = None if until_ns is None else (until_ns - self._now_ns()) / _NS
            over = subscription.ended or (left_s is not None and left_s <= 0)
            news.clear()
            lines = [encode_event(e) for e in subscription.take() if _passes(e, wanted, until_ns)]
            if lines:
                await response.write(b"".join(lines))
            if over:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await news.wait()


def _passes(event: Event, wanted: Mapping[str, Collection[str]], until_ns: int | None) -> bool:
    return (until_ns is None or event.time_ns <= until_ns) and event_matches(event, wanted)


def wake(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    """Set an event of a loop from another thread."""
    with contextlib.suppress(RuntimeError):  # the loop has just been closed
        loop.call_soon_threadsafe(news.set)
