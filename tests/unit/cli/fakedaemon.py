"""A daemon made of canned replies, on a unix socket: both `volfuse` and `docker` can talk to it.

A reply can also be a script that takes the connection over, as attach and exec do.
"""

from __future__ import annotations

import io
import json
import re
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["FakeDaemon", "Hijack", "Reply", "Request", "Wire", "error", "serve"]

_HEADERS = {"Api-Version": "1.51", "Ostype": "linux", "Docker-Experimental": "false", "Server": "Docker/28.5.2 (linux)"}


@dataclass(frozen=True)
class Request:
    """What a client sent; `path` has no version prefix."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:  # noqa: ANN401 a decoded body
        """The body decoded."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What to answer: a JSON value, raw bytes, or chunks."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Iterable[bytes] | None = None


class Wire:
    """The daemon's end of a connection that was taken over."""

    def __init__(self, incoming: io.BufferedIOBase, connection: socket.socket, request: Request) -> None:
        self._incoming = incoming
        self._connection = connection
        self._unwanted = [
            number
            for number, name in ((1, "stdout"), (2, "stderr"))
            if request.path.endswith("/attach") and name not in request.query
        ]

    def read(self, count: int = 1 << 16) -> bytes:
        """Wait for input; empty when the client has ended its side."""
        return self._incoming.read1(count)

    def read_all(self) -> bytes:
        """Return the input up to its end."""
        return self._incoming.read()

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self._connection.sendall(data)

    def frame(self, stream: int, data: bytes) -> None:
        """Send one frame of a multiplexed stream, if the client wants that stream."""
        if stream in self._unwanted:
            return
        self.send(struct.pack(">BxxxL", stream, len(data)) + data)


@dataclass(frozen=True)
class Hijack:
    """Answer 101 and let a script have the connection; it is closed when the script returns."""

    script: Callable[[Wire], None]


Answer = Reply | Hijack | Callable[[Request], "Reply | Hijack"]


def error(status: int, message: str) -> Reply:
    """Return the daemon's error object."""
    return Reply({"message": message}, status)


@dataclass
class FakeDaemon:
    """Routes (`GET /containers/json`) with their answers, and the requests that came."""

    socket: str
    routes: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    swallow: Callable[[Any], None] | None = None
    """Reads bodies instead of keeping them."""

    def answer(self, request: Request) -> Reply | Hijack:
        """Record the request and find its reply."""
        self.requests.append(request)
        answer = self.routes.get(f"{request.method} {request.path}")
        if answer is None:
            return error(404, "page not found")
        return answer(request) if callable(answer) else answer

    def sent(self, route: str) -> list[Request]:
        """Return the requests that came for a route."""
        return [r for r in self.requests if f"{r.method} {r.path}" == route]


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    fake: FakeDaemon

    def handle_error(self, request: object, client_address: object) -> None:
        """Let a client go away before it has read everything."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        path = unquote(re.sub(r"^/v1\.\d+", "", url.path))
        headers = {k.lower(): v for k, v in self.headers.items()}
        request = Request(self.command, path, parse_qs(url.query, keep_blank_values=True), self._body(), headers)
        if path == "/_ping":
            self._send(Reply(b"OK"))
            return
        reply = self.server.fake.answer(request)
        if isinstance(reply, Hijack):
            self._hijacked(reply, request)
        else:
            self._send(reply)

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _serve  # noqa: N815 the names that http.server asks for

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data = self.rfile.read(size)
                self.rfile.readline()
                if self.server.fake.swallow is None:
                    body += data
                else:
                    self.server.fake.swallow(io.BytesIO(data))
            self.rfile.readline()
            return bytes(body)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        body = (
            reply.body
            if isinstance(reply.body, bytes)
            else b""
            if reply.body is None
            else json.dumps(reply.body).encode()
        )
        kind = "text/plain" if isinstance(reply.body, bytes) else "application/json"
        for name, value in ({"Content-Type": kind} | _HEADERS | reply.headers).items():
            self.send_header(name, value)
        if reply.chunks is not None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in reply.chunks:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
            return
        if reply.status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _hijacked(self, reply: Hijack, request: Request) -> None:
        self.close_connection = True
        if self.headers.get("Upgrade") != "tcp":
            self._send(error(400, "no upgrade"))
            return
        self.wfile.write(
            b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
        reply.script(Wire(self.rfile, self.connection, request))  # type: ignore[arg-type]


@contextmanager
def serve(path: Path) -> Iterator[FakeDaemon]:
    """Serve on a socket until the block ends."""
    fake = FakeDaemon(str(path))
    with _Server(str(path), _Handler) as server:
        server.fake = fake
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
