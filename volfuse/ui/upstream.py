"""The daemon as the page's server sees it: requests over the unix socket, whole or as streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from yarl import URL

__all__ = ["Daemon", "Refused", "Unreachable"]

_CONNECT_S = 5.0


class Refused(Exception):
    """The daemon refused; the text is what it said, `status` that of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Unreachable(Exception):
    """No daemon answers, or it ended while it did."""


class Daemon:
    """A client of the daemon; a context manager. Event loop only.

    Args:
        path: of its socket, at most 107 bytes. Each request connects anew: the daemon may be another one by then.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(self._path, force_close=True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 decoded JSON
        """Return the decoded reply of a GET.

        Raises:
            Refused: see there.
            Unreachable: see there.
        """
        async with self.stream(path, query) as reply:
            return await reply.json(content_type=None)

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give the reply of a GET, whose body comes as it comes.

        Raises:
            Refused: see there.
            Unreachable: see there; also while the body is read within the block.
        """
        assert self._session is not None, "used outside of its block"
        text = urlencode(query or {}, errors="surrogateescape")
        try:
            async with self._session.get(URL(f"http://volfuse{path}?{text}", encoded=True), headers=headers) as reply:
                if reply.status >= 400:
                    raise Refused(reply.status, _message(await reply.json(content_type=None)))
                yield reply
        except (aiohttp.ClientError, OSError) as exc:
            raise Unreachable(str(exc)) from exc


def _message(body: Any) -> str:  # noqa: ANN401 decoded JSON
    return str(body["message"]) if isinstance(body, dict) and "message" in body else "the daemon refused"
