"""The client of the daemon's API.

Bodies and replies that may be large are streamed: nothing here keeps more than one chunk or one line of them.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Protocol
from urllib.parse import quote, urlencode

from volfuse.cli.connection import UnixConnection
from volfuse.cli.failure import CommandFailed, DaemonError, NotConnected
from volfuse.cli.jsontypes import Json
from volfuse.cli.upgrade import UPGRADE, Stream

__all__ = ["API_VERSION", "Client", "Query", "Upload", "filters", "segment"]

API_VERSION = "1.51"
CHUNK_BYTES = 1 << 17


class Upload(Protocol):
    """An archive to send: a file, or what reads like one."""

    def read(self, count: int, /) -> bytes:
        """Return at most so many bytes, none at the end."""
        ...


Query = Mapping[str, str | list[str] | None]


class Client:
    """Requests to one daemon.

    Args:
        path: the daemon's socket.
        start: called once when nobody listens there; returns when the daemon is ready, or raises.
            None: do not start one.
    """

    def __init__(self, path: str, start: Callable[[], None] | None = None) -> None:
        self._path = path
        self._start = start
        self._connection: UnixConnection | None = None

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def connect(self) -> None:
        """Connect now, and start a daemon if there is none."""
        self._connected()

    def cut(self) -> None:
        """Make a request under way in another thread fail."""
        if self._connection is not None and self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def another(self) -> Client:
        """Return a client with a connection of its own: for another thread, or a reply that is long in coming."""
        return Client(self._path)

    def get(self, path: str, query: Query | None = None) -> Json:
        """Return the decoded reply of a GET."""
        return self.call("GET", path, query)

    def post(self, path: str, query: Query | None = None, body: Json = None) -> Json:
        """Return the decoded reply of a POST, None if it is empty."""
        return self.call("POST", path, query, body)

    def delete(self, path: str, query: Query | None = None) -> Json:
        """Return the decoded reply of a DELETE, None if it is empty."""
        return self.call("DELETE", path, query)

    def call(self, method: str, path: str, query: Query | None = None, body: Json = None) -> Json:
        """Send one request with a JSON body and decode the JSON reply.

        Raises:
            DaemonError: the daemon refused.
            NotConnected: there is no daemon.
        """
        with self.open(method, path, query, body) as reply:
            text = reply.read()
        return json.loads(text) if text else None

    def lines(self, method: str, path: str, query: Query | None = None, upload: Upload | None = None) -> Iterator[Json]:
        """Yield the JSON objects of a stream of lines as they come."""
        with self.open(method, path, query, upload=upload) as reply:
            for line in reply:
                if line.strip():
                    yield json.loads(line)

    def open(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Json = None,
        upload: Upload | None = None,
    ) -> HTTPResponse:
        """Send a request and return the reply, to be read and closed by the caller.

        Args:
            method: of HTTP.
            path: below the version prefix; segments quoted (`segment`).
            query: None values are left out, lists repeat the key.
            body: sent as JSON, if not None.
            upload: a tar archive, sent in chunks as it is read.

        Raises:
            DaemonError: the daemon refused.
            NotConnected: there is no daemon.
        """
        connection = self._connected()
        headers = {}
        content: Json = None
        if upload is not None:
            headers, content = {"Content-Type": "application/x-tar"}, _chunks(upload)
        elif body is not None:
            headers, content = {"Content-Type": "application/json"}, json.dumps(body).encode()
        try:
            reply = _exchange(connection, method, _target(path, query), content, headers)
        except (HTTPException, ConnectionError) as fault:
            self.close()
            raise CommandFailed(f"error during connect: {fault}") from fault
        if reply.status >= 400:
            raise _refusal(reply)
        return reply

    def hijack(self, path: str, query: Query | None = None, body: Json = None) -> Stream:
        """Send a POST that makes a connection of its own a two-way stream; the caller closes it.

        Raises:
            DaemonError: the daemon refused. Docker's command keeps the reason for itself.
            NotConnected: there is no daemon.
        """
        apart = self.another()
        apart._start = self._start
        connection = apart._connected()
        content = b"" if body is None else json.dumps(body).encode()
        headers = {**UPGRADE, "Content-Type": "text/plain" if body is None else "application/json"}
        try:
            reply = _exchange(connection, "POST", _target(path, query), content, headers)
            if reply.status == HTTPStatus.SWITCHING_PROTOCOLS:
                return Stream(connection.sock, reply)
            raise _refusal(reply)
        except (HTTPException, ConnectionError) as fault:
            apart.close()
            raise CommandFailed(f"error during connect: {fault}") from fault
        except CommandFailed:
            apart.close()
            raise

    def _connected(self) -> UnixConnection:
        if self._connection is not None and self._connection.sock is not None:
            return self._connection
        connection = UnixConnection(self._path)
        try:
            connection.connect()
        except (FileNotFoundError, ConnectionRefusedError) as fault:
            if self._start is None:
                raise NotConnected(self._path) from fault
            self._start()
            connection.connect()
        except PermissionError as fault:
            raise CommandFailed(
                "permission denied while trying to connect to the volfuse daemon socket at "
                f"unix://{self._path}: {fault.strerror}"
            ) from fault
        self._connection = connection
        return connection


def segment(name: str) -> str:
    """Quote a name for one segment of a path."""
    return quote(name, safe="")


def filters(chosen: Mapping[str, Iterable[str]]) -> str | None:
    """Encode filters as the API wants them: `{"name":{"x":true}}`; None for none."""
    if not chosen:
        return None
    encoded = {key: dict.fromkeys(sorted(values), True) for key, values in chosen.items()}
    return json.dumps(encoded, sort_keys=True, separators=(",", ":"))


def _target(path: str, query: Query | None) -> str:
    pairs = {key: value for key, value in (query or {}).items() if value is not None}
    return f"/v{API_VERSION}{path}" + (f"?{urlencode(pairs, doseq=True)}" if pairs else "")


def _chunks(upload: Upload) -> Iterator[bytes]:
    while data := upload.read(CHUNK_BYTES):
        yield data


def _exchange(
    connection: UnixConnection, method: str, target: str, content: Json, headers: dict[str, str]
) -> HTTPResponse:
    """Send a request and read the head of the reply, which comes early if the daemon refuses an upload."""
    try:
        connection.request(method, target, content, headers, encode_chunked=not isinstance(content, bytes | None))
    except BrokenPipeError:
        reply = HTTPResponse(connection.sock, method=method)
        reply.begin()
        return reply
    return connection.getresponse()


def _refusal(reply: HTTPResponse) -> DaemonError:
    text = reply.read().decode(errors="replace").strip()
    reply.close()
    try:
        message = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        message = text or reply.reason
    return DaemonError(reply.status, message)
