"""Errors that volfuse raises, by kind.

The text is for the user: lower case, and Docker's own wording where Docker has one. Kinds are raised
where they are known; each edge (HTTP, command line, FUSE) picks its own code once. Errors of the
operating system stay `OSError` all the way.
"""

from __future__ import annotations

__all__ = [
    "CannotStart",
    "Conflict",
    "Forbidden",
    "InUse",
    "Internal",
    "InvalidSpec",
    "NotFound",
    "Unavailable",
    "Unsupported",
    "VolfuseError",
]


class VolfuseError(Exception):
    """Base of all errors with a text for the user."""


class InvalidSpec(VolfuseError):
    """What the user wrote is not valid (HTTP 400)."""


class NotFound(VolfuseError):
    """The named object does not exist (HTTP 404)."""


class Conflict(VolfuseError):
    """The object's state or name forbids the operation (HTTP 409)."""


class InUse(Conflict):
    """Something else still refers to the object (HTTP 409)."""


class Forbidden(VolfuseError):
    """The caller may not do this (HTTP 403)."""


class Unsupported(VolfuseError):
    """volfuse does not do this, or not here (HTTP 501)."""


class Unavailable(VolfuseError):
    """Something that the operation needs is not there now (HTTP 503)."""


class Internal(VolfuseError):
    """The operation failed, for a reason that Docker reports as a server error (HTTP 500)."""


class CannotStart(InvalidSpec):
    """A program cannot be started (HTTP 400).

    Attributes:
        exit_code: what the container's state and the client's command say: 125, 126 or 127.
    """

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code
