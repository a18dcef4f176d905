"""From a path of the host to a place in a volume or bind: through a view, wherever it is mounted, or in the source."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from volfuse.core.feed import Selection
from volfuse.engine.ports import BoundMount
from volfuse.errors import NotFound
from volfuse.fs.view import Mount, View
from volfuse.fs.viewtable import ViewTable

__all__ = ["place_of"]


def place_of(path: str, table: ViewTable, views: Path, bound: Iterable[BoundMount]) -> Selection:
    """Return the volume or bind that an absolute host path lies in, and its path there. Nothing is looked up on disk.

    Raises:
        NotFound: it lies in none.
    """
    wanted = os.path.normpath(path)
    for directory, view in (*_by_container(table, bound), (str(views), None)):
        rest = _below(wanted, directory)
        if rest is not None:
            name, _, below = ("", "", rest) if view is not None else rest.partition("/")
            shown = view or table.get(os.fsencode(name))
            if shown is not None:
                return _in_view(shown, os.fsencode(below), path)
    return _in_source(table, wanted, path)


def _by_container(table: ViewTable, bound: Iterable[BoundMount]) -> Iterable[tuple[str, View | None]]:
    """Return the directories at which views are mounted; with None the list of all views is."""
    shown = {view.container: view for view in table.views()}
    for mount in bound:
        if mount.container is None or mount.container in shown:
            yield mount.directory, shown.get(mount.container or "")


def _in_view(view: View, below: bytes, path: str) -> Selection:
    place = view.locate(below)
    if place.mount.private:
        raise NotFound(f"{path}: only container {view.name} has this file, its changes are not followed")
    return _selection(place.mount, place.rel)


def _in_source(table: ViewTable, wanted: str, path: str) -> Selection:
    found: tuple[int, Selection] | None = None
    for view in table.views():
        for mount in view.mounts:
            source = os.fsdecode(mount.through.source)
            rest = _below(wanted, source)
            if rest is not None and not mount.private and (found is None or len(source) > found[0]):
                found = len(source), Selection(mount.through.volume or source, "", os.fsencode(rest))
    if found is None:
        raise NotFound(f"{path}: not in a volume or bind of any container")
    return found[1]


def _selection(mount: Mount, rel: bytes) -> Selection:
    through = mount.through
    return Selection(through.volume or os.fsdecode(through.source), "", through.path(rel))


def _below(path: str, directory: str) -> str | None:
    """Return the rest of a path below a directory, empty for itself; None if it is not there."""
    if path == directory:
        return ""
    prefix = directory.rstrip("/") + "/"
    return path[len(prefix) :] if path.startswith(prefix) else None
