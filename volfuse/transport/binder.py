"""Mounting a view at a directory of the user's: a bind mount, which only root can make.

Bind mounts are made by mount(8): the daemon itself must not look up paths below a mount that it serves.
"""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

from volfuse.errors import Unsupported
from volfuse.sys.mount import MNT_DETACH, umount2
from volfuse.sys.mountinfo import mount_at
from volfuse.transport.stalemounts import FS_TYPE

__all__ = ["BindBinder", "RefusingBinder"]

_MOUNT_S = 30.0


class BindBinder:
    """Bind mounts of what lies below the directory of views; needs root."""

    def __init__(self, views: Path) -> None:
        self._views = views

    def bind(self, view: str, directory: str, *, read_only: bool) -> None:
        """Mount `view` (empty: all views) at `directory`.

        Raises:
            OSError: EIO with the text of mount(8).
        """
        options = ["--options", "bind,ro"] if read_only else ["--bind"]
        command = ["mount", *options, "--", str(self._views / view), directory]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MOUNT_S, check=False)
        if done.returncode != 0:
            raise OSError(errno.EIO, done.stderr.strip() or "mount failed", directory)

    def unbind(self, directory: str) -> None:
        """Detach what this made at `directory`, also while it is in use."""
        path = os.fsencode(directory)
        mount = mount_at(path)
        if mount is not None and mount.fs_type == FS_TYPE:
            umount2(path, MNT_DETACH)


class RefusingBinder:
    """What ordinary users get: they may not bind, and a second connection would not see changes made by the first.

    The kernel caches private trees for each connection without end.
    """

    def __init__(self, views: Path) -> None:
        self._views = views

    def bind(self, view: str, directory: str, *, read_only: bool) -> None:  # noqa: ARG002 (as BindBinder)
        """Refuse.

        Raises:
            Unsupported: always; says what to do instead.
        """
        raise Unsupported(
            f"mount at {directory}: only root can bind a view elsewhere: "
            f"use {self._views / view}, or start the daemon with --views DIR"
        )

    def unbind(self, directory: str) -> None:
        """Do nothing: nothing was mounted."""
