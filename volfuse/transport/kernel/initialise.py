"""A connection's first request, INIT; and a trial connection, to learn what the machine allows."""

from __future__ import annotations

import errno
import os
import tempfile
from typing import Final

from volfuse.errors import Unavailable
from volfuse.sys.fusedev import backing_close, backing_open
from volfuse.sys.owned import owned
from volfuse.transport.kernel import mounting
from volfuse.transport.kernel.negotiation import Agreement, agree, decode_offer, encode_agreement
from volfuse.transport.kernel.passthrough import NOT_AGREED, REASONS
from volfuse.transport.kernel.wire.opcodes import Opcode
from volfuse.transport.kernel.wire.requests import Request

__all__ = ["initialise", "passthrough_problem"]

_INIT_BYTES: Final = 1 << 16


def initialise(fd: int, *, passthrough: bool) -> Agreement:
    """Answer INIT, which the kernel sends first on a mounted device.

    Raises:
        Unavailable: the kernel is too old, or it was unmounted meanwhile.
    """
    request = Request(_INIT_BYTES)
    request.parse(os.readv(fd, [request.buffer]))
    if request.opcode != Opcode.INIT:
        raise Unavailable(f"the kernel began with opcode {request.opcode} instead of INIT")
    agreed = agree(decode_offer(request.buffer, request.end), passthrough=passthrough)
    try:
        os.write(fd, encode_agreement(request.unique, agreed))
    except OSError as exc:
        if exc.errno == errno.ENODEV:
            raise Unavailable("unmounted before it was served") from exc
        raise
    return agreed


def passthrough_problem(directory: str) -> str:
    """Return why files in a directory would not be passed through, empty if they would.

    Tries it, on a connection of its own that is mounted in the directory for a moment; nothing stays behind.
    """
    if os.geteuid() != 0:
        return REASONS[errno.EPERM]
    try:
        with tempfile.TemporaryDirectory(dir=directory) as mountpoint, tempfile.TemporaryFile(dir=directory) as file:
            path = os.fsencode(os.path.realpath(mountpoint))
            with owned(mounting.open_mounted(path)) as device:
                try:
                    return _try(device, file.fileno())
                finally:
                    mounting.unmount(path)
    except Unavailable as exc:
        return str(exc)


def _try(device: int, file: int) -> str:
    if not initialise(device, passthrough=True).passthrough:
        return NOT_AGREED
    backing = backing_open(device, file)
    if backing < 0:
        return REASONS.get(-backing) or os.strerror(-backing)
    backing_close(device, backing)
    return ""
