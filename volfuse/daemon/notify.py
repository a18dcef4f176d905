"""Telling the service manager that the daemon is ready, or ends (man 3 sd_notify)."""

from __future__ import annotations

import os
import socket

import structlog

__all__ = ["notify"]

_log = structlog.get_logger(__name__)


def notify(message: str) -> None:
    """Send a message such as `READY=1` to NOTIFY_SOCKET, if there is one; `@` begins an abstract name."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.connect(address)
            sender.sendall(message.encode())
        except OSError as exc:
            _log.info("cannot tell the service manager", message=message, error=str(exc))
