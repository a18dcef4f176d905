"""Renamed containers: libfuse is told by a rename(2) of the daemon's own.

libfuse knows a directory by the path at which the kernel found it. A running container's root is such a directory, and
would be looked for under its old name. There is no call to tell libfuse, but it follows a rename that comes through the
kernel. So once the table shows the new name, one is made, and what it asks for is answered as if it were still to be
done: for the thread that makes it, and for that one only.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Collection

from volfuse.fs import paths
from volfuse.fs.view import Attributes, View
from volfuse.transport.fusepy_library import caller

__all__ = ["Renames"]

_log = logging.getLogger(__name__)


class Renames:
    """Listens to the table of views.

    Attributes:
        under_way: by the id of the thread that renames: old path, new path, the view.
    """

    def __init__(self) -> None:
        self.under_way: dict[int, tuple[bytes, bytes, View]] = {}
        self._mountpoint = b""

    def mounted(self, mountpoint: bytes) -> None:
        """Say where the views are."""
        self._mountpoint = mountpoint

    def names_changed(self, name: bytes, before: View | None, now: View | None) -> None:
        """Follow a renaming. Failing is logged: programs that run in the container lose its files."""
        if before is None or now is None:
            return
        new = os.fsencode(now.name)
        thread = threading.get_native_id()
        self.under_way[thread] = b"/" + name, b"/" + new, now
        try:
            os.rename(os.path.join(self._mountpoint, name), os.path.join(self._mountpoint, new))
        except OSError as exc:
            _log.warning("programs in container %s cannot follow its renaming: %s", now.name, exc)
        finally:
            del self.under_way[thread]

    def contents_changed(self, view: View, paths: Collection[bytes]) -> None:
        """Do nothing: names are not cached."""

    def getattr(self, path: bytes) -> Attributes | None:
        """Return what the renaming thread is to see at a path; None for others and elsewhere.

        Raises:
            OSError: ENOENT for the new name.
        """
        renaming = self.under_way.get(caller().pid)
        if renaming is None:
            return None
        old, new, view = renaming
        if path == new:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return paths.getattr(view.locate(b"")) if path == old else None

    def is_ours(self, old: bytes, new: bytes) -> bool:
        """Say whether a RENAME is the one that this makes."""
        renaming = self.under_way.get(caller().pid)
        return renaming is not None and renaming[:2] == (old, new)
