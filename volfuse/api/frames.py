"""Frames of multiplexed streams, and the content types of streams (docker-semantics 5.5)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from aiohttp import web

from volfuse.api.versioning import version_of

__all__ = ["MULTIPLEXED", "RAW", "encode", "frame", "stream_type"]

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"

_MULTIPLEXED_SINCE = (1, 42)
_HEAD = struct.Struct(">BxxxI")


def frame(stream: int, payload: bytes) -> bytes:
    """Return one frame: number of the stream, three zero bytes, length, payload."""
    return _HEAD.pack(stream, len(payload)) + payload


def encode(chunks: Iterable[tuple[int, bytes]], *, tty: bool) -> bytes:
    """Return output as it goes over the wire: framed, except that of a terminal."""
    return b"".join(chunk if tty else frame(stream, chunk) for stream, chunk in chunks)


def stream_type(request: web.Request, *, tty: bool) -> str:
    """Return the content type of a stream; old clients are told `raw` whatever it is."""
    return RAW if tty or version_of(request) < _MULTIPLEXED_SINCE else MULTIPLEXED
