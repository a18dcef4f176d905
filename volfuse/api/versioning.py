"""Versions of the API in paths: `/v1.51/info` and `/info` are the same route.

Clients take the highest version that both sides have, from the `Api-Version` header of `/_ping` or the `ApiVersion`
of `/version`.
"""

from __future__ import annotations

import re

from aiohttp import web
from aiohttp.typedefs import Handler

from volfuse.errors import InvalidSpec

__all__ = [
    "MAXIMUM",
    "MINIMUM",
    "PREFIX",
    "ApiVersion",
    "parse_version",
    "text_of",
    "version_middleware",
    "version_of",
    "without_version",
]

ApiVersion = tuple[int, int]

MAXIMUM: ApiVersion = (1, 51)
MINIMUM: ApiVersion = (1, 24)

PREFIX = r"/v{api_version:[0-9]+\.[0-9]+}"
"""What the path of a route may begin with."""

_PREFIX = re.compile(r"/v[0-9]+\.[0-9]+(?=/)")


def text_of(version: ApiVersion) -> str:
    """Return a version as clients write it."""
    return f"{version[0]}.{version[1]}"


def parse_version(text: str) -> ApiVersion:
    """Return the version that a path names.

    Raises:
        InvalidSpec: it is not served.
    """
    major, minor = text.split(".")
    version = int(major), int(minor)
    if version > MAXIMUM:
        raise InvalidSpec(f"client version {text} is too new. Maximum supported API version is {text_of(MAXIMUM)}")
    if version < MINIMUM:
        raise InvalidSpec(
            f"client version {text} is too old. Minimum supported API version is {text_of(MINIMUM)}, "
            "please upgrade your client to a newer version"
        )
    return version


def version_of(request: web.Request) -> ApiVersion:
    """Return the version that a request speaks."""
    text = request.match_info.get("api_version")
    return MAXIMUM if text is None else parse_version(text)


def without_version(path: str) -> str:
    """Return the path of a request as the documentation names it."""
    return _PREFIX.sub("", path, count=1)


@web.middleware
async def version_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse versions that are not served, before anything is done."""
    version_of(request)
    return await handler(request)
