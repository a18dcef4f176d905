"""Passthrough: files whose reads, writes and mappings the kernel does on a registered backing file itself.

Needs Linux 6.9 and CAP_SYS_ADMIN; where it is refused, the mount falls back and says why (`MountState.refused`).

A backing file opened for reading serves writers too: the kernel takes its inode, not its mode. It may be closed once
it is registered. Source: fs/fuse/passthrough.c, fuse_backing_open.
"""

from __future__ import annotations

import errno
import logging
import os
from typing import Final

from volfuse.sys.fusedev import backing_close, backing_open
from volfuse.transport.kernel.mounts import MountState

__all__ = ["NOT_AGREED", "REASONS", "Passthrough"]

_log = logging.getLogger(__name__)

NOT_AGREED: Final = "the kernel does not offer it (Linux 6.9, CONFIG_FUSE_PASSTHROUGH)"
REASONS: Final = {
    errno.EPERM: "CAP_SYS_ADMIN is missing",
    errno.ELOOP: "the source lies on a stack of file systems",
    errno.ENOTTY: NOT_AGREED,
    errno.EOPNOTSUPP: "the source's file system does not allow it",
}


class Passthrough:
    """Registers backing files of one connection.

    Args:
        agreed: whether INIT agreed on it.
    """

    def __init__(self, device_fd: int, agreed: bool) -> None:
        self._device_fd = device_fd
        self._agreed = agreed

    def wanted(self, mount: MountState) -> bool:
        """Say whether files of a mount are to be registered."""
        return self._agreed and not mount.refused

    def register(self, mount: MountState, fd: int) -> int:
        """Return a backing id for a file that is open for reading, 0 where its mount falls back."""
        backing = backing_open(self._device_fd, fd)
        if backing > 0:
            return backing
        reason = REASONS.get(-backing)
        if reason is None:
            raise OSError(-backing, os.strerror(-backing))
        mount.refused = reason
        _log.info("%s is not passed through: %s", mount.mount.label or "a source", mount.refused)
        return 0

    def unregister(self, backing: int) -> None:
        """Give a backing id back; files that are open with it go on."""
        number = backing_close(self._device_fd, backing)
        if number:
            raise OSError(number, os.strerror(number))
