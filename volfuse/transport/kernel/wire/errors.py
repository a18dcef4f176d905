"""The one error of the wire layer."""

from __future__ import annotations

__all__ = ["ProtocolError"]


class ProtocolError(Exception):
    """Bytes that the kernel could not have sent: too short, a length that does not fit, a name that is none."""
