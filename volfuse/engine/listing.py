"""A directory of a view, listed for somebody who looks around."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest

from volfuse.engine.viewpath import join
from volfuse.fs import paths as places
from volfuse.fs.view import View

__all__ = ["Listed", "Listing", "listing_of"]

_LIMIT = 1000
_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})


@dataclass(frozen=True, slots=True)
class Listed:
    """A name in a directory.

    Attributes:
        status: of the file, of a link itself; None if the system does not tell (a source that is missing).
        target: what a link holds; empty for other files.
        mount: something is mounted there.
    """

    name: bytes
    status: os.stat_result | None
    target: bytes
    mount: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """The first names of a directory, sorted; `total` counts all.

    Attributes:
        path: in the container, absolute.
    """

    path: bytes
    total: int
    entries: list[Listed]


def listing_of(view: View, path: bytes) -> Listing:
    """List a directory of a view.

    Args:
        path: in the view, without links.

    Raises:
        OSError: it is not there, or is no directory.
    """
    handle = places.open_directory(view.locate(path))
    try:
        names = [entry.name for entry in handle.entries() if entry.name not in (b".", b"..")]
    finally:
        handle.close()
    return Listing(b"/" + path, len(names), list(_listed(view, path, nsmallest(_LIMIT, names))))


def _listed(view: View, directory: bytes, names: list[bytes]) -> Iterator[Listed]:
    """Yield what is still there; what cannot be looked at is listed all the same."""
    for name in names:
        place = view.locate(join(directory, name))
        mount = place.path in view.points
        try:
            status = places.getattr(place).status
            yield Listed(name, status, places.readlink(place) if stat.S_ISLNK(status.st_mode) else b"", mount)
        except OSError as exc:
            if exc.errno not in _VANISHED:
                yield Listed(name, None, b"", mount)
