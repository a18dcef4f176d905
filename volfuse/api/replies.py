"""Replies: JSON objects, streams of JSON lines, and the headers that every reply carries."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web

from volfuse import __version__
from volfuse.api.versioning import MAXIMUM, text_of

__all__ = ["JSON", "add_headers", "json_line", "json_reply", "reply_headers", "start_stream"]

JSON = "application/json"
"""The content type of JSON, without parameters: the docker command compares the whole string."""

_HEADERS = {
    "Api-Version": text_of(MAXIMUM),
    "Ostype": "linux",
    "Server": f"Docker/{__version__} (linux)",
    "Docker-Experimental": "false",
}


def json_reply(value: object, *, status: int = 200) -> web.Response:
    """Return a whole JSON reply."""
    return web.Response(status=status, body=msgspec.json.encode(value) + b"\n", headers={hdrs.CONTENT_TYPE: JSON})


def json_line(value: object) -> bytes:
    """Return one line of a JSON stream."""
    return msgspec.json.encode(value) + b"\n"


async def start_stream(
    request: web.Request, *, content_type: str = JSON, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """Send the head of a chunked reply at once; the caller writes its body."""
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: content_type, **(headers or {})})
    response.enable_chunked_encoding()
    await response.prepare(request)
    return response


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Put Docker's headers on a reply (a signal handler of the application)."""
    response.headers.update(_HEADERS)


def reply_headers() -> dict[str, str]:
    """Return Docker's headers, for a reply that does not go through the application."""
    return dict(_HEADERS)
