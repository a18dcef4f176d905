"""`volfuse ui` as a process, and requests to it that a browser would not make."""

from __future__ import annotations

import http.client
import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

__all__ = ["Event", "WebPage"]

VOLFUSE = Path(sys.executable).parent / "volfuse"
_DEADLINE_S = 30.0

Event = tuple[str, str, Any]
"""Name, id, and decoded data of a server-sent event."""


class WebPage:
    """A running `volfuse ui`; a context manager that ends it.

    Attributes:
        url: the address that it printed.
        status: its exit status, once it has ended.
    """

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen([VOLFUSE, *options, "ui"], stdout=subprocess.PIPE, text=True)
        self.status: int | None = None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _DEADLINE_S)
        self.url = self._process.stdout.readline().strip() if ready else ""
        if not self.url:
            self.close()
            raise AssertionError("volfuse ui printed no address")
        parts = urlsplit(self.url)
        self.host, self.path = parts.netloc, parts.path
        self.port = parts.port
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal and note its status."""
        self._process.send_signal(number)
        try:
            self.status = self._process.wait(_DEADLINE_S)
        finally:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    @contextmanager
    def open(self, target: str, method: str = "GET", **headers: str) -> Iterator[http.client.HTTPResponse]:
        """Give the answer to a request; `target` is sent as it is, `_` in names of headers as `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port or 0, timeout=_DEADLINE_S)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, target, skip_host="Host" in given)
        for name, value in given.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders()
        try:
            with connection.getresponse() as reply:
                yield reply
        finally:
            connection.close()

    def status_of(self, target: str, method: str = "GET", **headers: str) -> int:
        """Return the status of an answer."""
        with self.open(target, method, **headers) as reply:
            return reply.status

    def json(self, name: str, status: int = 200) -> Any:  # noqa: ANN401 decoded JSON
        """Return a decoded answer below the page's address."""
        with self.open(self.path + name) as reply:
            body = reply.read()
        assert reply.status == status, body
        return json.loads(body)

    @contextmanager
    def events(self, **headers: str) -> Iterator[Iterator[Event]]:
        """Give the events of the page's stream, as they come."""
        with self.open(f"{self.path}changes", **headers) as reply:
            assert reply.headers["Content-Type"] == "text/event-stream"
            yield _events(reply)


def _events(reply: http.client.HTTPResponse) -> Iterator[Event]:
    """Split a stream as WHATWG HTML says, as far as it is used here."""
    name, place, data = "message", "", ""
    for line in reply:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            place = value
        elif field == "data":
            data = value
        elif not field and data:
            yield name, place, json.loads(data)
            name, data = "message", ""
