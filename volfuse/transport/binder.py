"""Mounting a view at a directory of the user's: a bind mount as root, a mount of its own otherwise.

Bind mounts are made by mount(8): the daemon itself must not look up paths below a mount that it serves.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from volfuse.sys.mount import MNT_DETACH, umount2
from volfuse.sys.mountinfo import mount_at
from volfuse.transport.base import Transport
from volfuse.transport.stalemounts import FS_TYPE

__all__ = ["BindBinder", "SessionBinder"]

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


class SessionBinder:
    """A FUSE mount for each directory; works for everyone who may use fusermount.

    Args:
        serve: gives a transport that serves one view (empty name: all) at the root of its mount.
    """

    def __init__(self, serve: Callable[[str, bool], Transport]) -> None:
        self._serve = serve
        self._sessions: dict[str, Transport] = {}

    def bind(self, view: str, directory: str, *, read_only: bool) -> None:
        """Mount `view` (empty: all views) at `directory`.

        Raises:
            Unavailable: it cannot be mounted there.
        """
        transport = self._serve(view, read_only)
        transport.start(os.fsencode(directory))
        self._sessions[directory] = transport

    def unbind(self, directory: str) -> None:
        """Unmount what is served at `directory`; what a dead daemon left there is for `bind` to take over."""
        with contextlib.suppress(KeyError):
            self._sessions.pop(directory).stop()
