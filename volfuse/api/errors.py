"""From an exception to an HTTP status and Docker's error object.

The only place of the API that picks status codes for failures. The command prints `message` behind its own prefix, and
only where `Content-Type` is exactly `application/json`.
"""

from __future__ import annotations

import structlog
from aiohttp import ClientConnectionResetError, web
from aiohttp.typedefs import Handler

from volfuse import errors
from volfuse.api.replies import json_reply
from volfuse.api.streams import StreamAborted

__all__ = ["describe", "error_middleware", "error_reply"]

_log = structlog.get_logger(__name__)

_STATUS: tuple[tuple[type[errors.VolfuseError], int], ...] = (
    (errors.InvalidSpec, 400),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Unsupported, 501),
    (errors.Unavailable, 503),
    (errors.VolfuseError, 500),
)


def describe(error: BaseException) -> tuple[int, str]:
    """Return the status and the text for an exception."""
    match error:
        case errors.VolfuseError():
            return next(status for kind, status in _STATUS if isinstance(error, kind)), str(error)
        case web.HTTPNotFound() | web.HTTPMethodNotAllowed():
            return 404, "page not found"
        case web.HTTPException():
            return error.status, error.text or error.reason
        case OSError():
            return 500, _describe_os_error(error)
        case _:
            return 500, f"unexpected error: {type(error).__name__}: {error}"


def error_reply(error: BaseException) -> web.Response:
    """Return the error object for an exception."""
    status, message = describe(error)
    return json_reply({"message": message}, status=status)


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every exception with Docker's error object; log those that are nobody's mistake."""
    try:
        return await handler(request)
    except (errors.VolfuseError, web.HTTPException) as exc:
        return error_reply(exc)
    except (StreamAborted, ClientConnectionResetError):
        return _cut_off(request)
    except Exception as exc:  # noqa: BLE001 - the boundary of a request
        _log.error("request failed", method=request.method, path=request.path, exc_info=exc)
        return error_reply(exc)


def _cut_off(request: web.Request) -> web.Response:
    """Cut the connection, so that the client does not take what it got for the whole; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _describe_os_error(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    names = [_text(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' -> '.join(names)}: {reason}" if names else reason


def _text(name: str | bytes | int) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
