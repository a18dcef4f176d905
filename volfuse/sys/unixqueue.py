"""What the other end of a unix socket has not received yet."""

from __future__ import annotations

import array
import fcntl
import termios

__all__ = ["is_received"]


def is_received(fd: int) -> bool:
    """Tell whether the other end of a connected unix socket has received all that was sent, or has closed it.

    Source: `SIOCOUTQ`, which is `TIOCOUTQ` (net/unix/af_unix.c, unix_outq_len): memory of what is queued at the peer.
    """
    queued = array.array("i", [0])
    fcntl.ioctl(fd, termios.TIOCOUTQ, queued)
    return queued[0] == 0
