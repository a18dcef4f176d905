"""What comes to the page while it is open: one stream of server-sent events.

| event | id | data |
| --- | --- | --- |
| (none) | cursor | a change, as the daemon's feed has it |
| `missed` | cursor | what was missed, as the daemon's feed has it |
| `up` | cursor | `{}`: the daemon answers, changes follow |
| `sharing` | | `{}`: containers or volumes have come, gone, begun or ended |
| `down` | | `{"Reason"}`: no daemon answers; the stream ends |

When the daemon ends, so does the stream. The browser connects again by itself, with the last cursor it saw; so what
was missed is found by the daemon. A page that has seen nothing begins with the last changes that are kept.

Source: WHATWG HTML, server-sent events.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp import hdrs, web

from volfuse.ui.upstream import Daemon, Refused, Unreachable

__all__ = ["relay"]

_CHANGES: Final = "/volfuse/changes"
_CURSOR: Final = "Volfuse-Cursor"
_RETRY_MS: Final = 500
_FIRST: Final = 100
"""How many of the last changes a new page shows."""
_BEGINNING: Final = "1"
"""The time from which on all is asked for that is kept."""
_SHARING: Final = {
    "type": ["container", "volume"],
    "event": ["create", "destroy", "rename", "start", "die", "pause", "unpause", "prune"],
}


async def relay(request: web.Request, daemon: Daemon) -> web.StreamResponse:
    """Answer a request of the page's `EventSource` until the daemon or the page ends."""
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream"})
    await response.prepare(request)
    await response.write(b"retry: %d\n\n" % _RETRY_MS)
    since = request.headers.get("Last-Event-ID") or request.query.get("since", "")
    reason = "the daemon has ended"
    try:
        await _relay(response, daemon, since)
    except* (Unreachable, Refused, aiohttp.ClientError, OSError) as faults:
        reason = str(faults.exceptions[0]) or reason
    with suppress(ConnectionError):  # it is the page that has gone
        await response.write(_event("down", {"Reason": reason}))
        await response.write_eof()
    return response


async def _relay(response: web.StreamResponse, daemon: Daemon, since: str) -> None:
    query = {"follow": "1", "since": since or await _show_latest(response, daemon)}
    accept = {str(hdrs.ACCEPT): "text/event-stream"}
    async with (
        daemon.stream("/events", {"filters": json.dumps(_SHARING)}) as events,
        daemon.stream(_CHANGES, query, accept) as changes,
    ):
        await response.write(f"id: {changes.headers[_CURSOR]}\n".encode() + _event("up", {}))
        async with asyncio.TaskGroup() as both:
            both.create_task(_tell_sharing(response, events))
            both.create_task(_pass_on(response, changes))


async def _show_latest(response: web.StreamResponse, daemon: Daemon) -> str:
    """Send the last changes and return where to go on."""
    since = _BEGINNING
    async with daemon.stream(_CHANGES, {"latest": str(_FIRST)}) as found:
        for line in (await found.read()).splitlines():
            since = json.loads(line)["Cursor"]
            await response.write(f"id: {since}\ndata: ".encode() + line + b"\n\n")
    return since


async def _tell_sharing(response: web.StreamResponse, events: aiohttp.ClientResponse) -> None:
    async for _line in events.content:
        await response.write(_event("sharing", {}))
    raise Unreachable


async def _pass_on(response: web.StreamResponse, changes: aiohttp.ClientResponse) -> None:
    """Pass changes on, cut where an event ends: others come in between."""
    pending = b""
    async for chunk in changes.content.iter_any():
        whole, mark, pending = (pending + chunk).rpartition(b"\n\n")
        if mark:
            await response.write(whole + mark)
    raise Unreachable


def _event(name: str, data: dict[str, str]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
