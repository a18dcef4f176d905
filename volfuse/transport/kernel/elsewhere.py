"""Changes that do not come through the mount, made known to the kernel: it keeps names of views and private trees.

Names are expired, never dropped: dropping one unmounts what is mounted below it, of which a running container has
much. An expired name is asked for again at its next use, and only if it then means another file is the old one let go.

The kernel takes the lock of the directory for a name, which a request under way may hold. So this runs on threads that
serve no request of the mount.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from volfuse.errors import Unavailable
from volfuse.fs.source import Source
from volfuse.fs.view import Place, View
from volfuse.sys.openat2 import openat2
from volfuse.sys.owned import owned
from volfuse.sys.statx import Statx
from volfuse.transport.kernel.nodes import ROOT_ID, Directory, Node
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.wire.flags import FUSE_EXPIRE_ONLY
from volfuse.transport.kernel.wire.notifications import inval_attributes, inval_entry, inval_inode

__all__ = ["Elsewhere"]


class Elsewhere:
    """Listens to the table of views."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def names_changed(self, name: bytes, before: View | None, now: View | None) -> None:
        """Make the kernel forget the name that a view had; with the view gone, all that it holds below."""
        server = self._server
        server.session.notify(inval_attributes(ROOT_ID))
        if before is None:
            return
        if now is None:
            server.views.drop(before)
            server.feed.forget_views()
        # Dropping a name unmounts what is mounted below it, which a renamed container still needs.
        server.session.notify(inval_entry(ROOT_ID, name, 0 if now is None else FUSE_EXPIRE_ONLY))

    def contents_changed(self, view: View, paths: Collection[bytes]) -> None:
        """Expire names, attributes and pages at paths of a view. Of shared sources without leases nothing is kept."""
        statx = Statx()
        below: dict[bytes, list[bytes]] = {}
        for path in paths:
            self._file_changed(view.locate(path), statx)
            if path:
                head, _, name = path.rpartition(b"/")
                below.setdefault(head, []).append(name)
        for directory, names in below.items():
            self._names_changed(view.locate(directory), names, statx)

    def _file_changed(self, place: Place, statx: Statx) -> None:
        found = self._find(place, statx)
        if isinstance(found, Node):
            self._server.session.notify(inval_inode(found.id))
        elif found is not None:
            self._server.leasing.drop_attributes(found)

    def _names_changed(self, place: Place, names: Sequence[bytes], statx: Statx) -> None:
        found = self._find(place, statx)
        if isinstance(found, Node):
            for name in names:
                self._server.session.notify(inval_entry(found.id, name, FUSE_EXPIRE_ONLY))
            self._server.session.notify(inval_attributes(found.id))
        elif found is not None:
            mount = self._server.views.mount(place.view, place.mount)
            self._server.leasing.changed_outside(mount, found, names)

    def _find(self, place: Place, statx: Statx) -> Node | Directory | None:
        """Return what the kernel keeps something of that is at a place now.

        That is the node in a private tree, and the directory in a source of which names are granted. What is kept of
        files there goes with their names.
        """
        views = self._server.views
        # What a private tree shows the kernel knows by its view only, a shared source by any.
        mount = (views.known if place.mount.private else views.mount)(place.view, place.mount)
        if mount is None or not isinstance(mount.source, Source):
            return None
        try:
            with owned(openat2(mount.source.fd, place.rel or b".", os.O_PATH | os.O_NOFOLLOW)) as fd:
                found = statx.at(fd, b"")
        except (OSError, Unavailable):  # there is nothing: what was there is gone with its name
            return None
        key = mount.key(found)
        nodes = self._server.nodes
        if not mount.private:
            directory = nodes.find_directory(key)
            return directory if directory is not None and directory.leased else None
        if found.is_directory:
            return mount.nodes.get(key)
        return nodes.find_file(key)
