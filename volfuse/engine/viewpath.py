"""Paths of a user followed inside a view, as a process of the container would follow them.

A link is read by hand and its target taken inside the view, so no path leads out; mounts of the view are crossed. The
result is a path without links, which the operations of `fs.paths` take; should a link come in its way meanwhile, they
refuse it.
"""

from __future__ import annotations

import errno
import os

from volfuse.core import paths
from volfuse.core.links import follow_links
from volfuse.errors import InvalidSpec
from volfuse.fs import paths as places
from volfuse.fs.view import View

__all__ = ["clean_path", "follow_all", "follow_parents", "join"]

_NO_LINK = frozenset({errno.EINVAL, errno.ENOENT, errno.ENOTDIR})


def clean_path(path: str) -> bytes:
    """Return a user's path, cleaned and absolute; a final `/` or `/.` stays as `/.`: it asks for a directory.

    Raises:
        InvalidSpec: no path has a null byte.

    Source: moby daemon/archive_unix.go, PreserveTrailingDotOrSeparator.
    """
    if "\0" in path:
        raise InvalidSpec(f"lstat {path}: invalid argument")
    cleaned = paths.clean(f"/{path}")
    wants_directory = path.endswith("/") or path.rpartition("/")[2] == "."
    return os.fsencode(f"{cleaned.rstrip('/')}/." if wants_directory else cleaned)


def follow_all(view: View, path: bytes) -> bytes:
    """Return the path in the view that a path leads to, the last link followed too; no leading slash.

    What does not exist is taken as it is written.

    Raises:
        OSError: ELOOP, too many links.
    """
    return b"/".join(follow_links(path, lambda components: _readlink(view, b"/".join(components))))


def follow_parents(view: View, path: bytes) -> bytes:
    """Return the path in the view of the file that a path names, be it a link; no leading slash."""
    head, _, name = path.rpartition(b"/")
    if name in (b"", b".", b".."):
        return follow_all(view, path)
    return join(follow_all(view, head), name)


def join(path: bytes, name: bytes) -> bytes:
    """Return a path in the view and a name below it as one; either may be empty."""
    return path + b"/" + name if path and name else path or name


def _readlink(view: View, path: bytes) -> bytes | None:
    if path in view.points or path in view.leading:
        return None
    try:
        return places.readlink(view.locate(path))
    except OSError as exc:
        if exc.errno in _NO_LINK:
            return None
        raise
