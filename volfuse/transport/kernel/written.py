"""Files that are open for writing in shared sources, and whether they have been written.

What is passed through never comes by here. So it is found out by size and modification time, when a file that was open
for writing is closed for the last time, and before a request changes either itself. What they are then is remembered
once for all who have the file open: of two programs that write one file the one that closes first is named.

Where the daemon carries the data, it knows who wrote, and how much.
"""

from __future__ import annotations

import contextlib

from volfuse.core.feed import ChangeKind, Through
from volfuse.core.watching import identity_of_key
from volfuse.fs.changelog import ChangeLog
from volfuse.fs.descriptors import Caller
from volfuse.fs.openplaces import directory_of, place_of
from volfuse.sys.statx import Statx
from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.mounts import MountState
from volfuse.transport.kernel.nodes import Handle, OpenFile
from volfuse.transport.kernel.publishing import Publisher, path_of
from volfuse.transport.kernel.session import Reader

__all__ = ["Writers"]

_WRITE = ChangeKind.WRITE


class Writers:
    """Handles that are open for writing (`Handle.opener`). Private trees have none."""

    def __init__(self, feed: Publisher, log: ChangeLog) -> None:
        self._feed = feed
        self._log = log
        self._written: dict[int, int] = {}  # by handle: bytes that the daemon has written and not published yet

    def opened(self, handle: Handle, mount: MountState, reader: Reader) -> None:
        """Note that a file is open for writing; its attributes are in the reader's `statx`."""
        handle.opener = Caller(reader.uid, reader.gid, reader.pid)
        handle.mount = mount
        opened = handle.node.opened
        if opened is not None and not _writers(opened, handle):
            opened.content = reader.statx.content()

    def wrote(self, handle: int, count: int) -> None:
        """Count bytes that the daemon has written; none if it has allocated space."""
        self._written[handle] = self._written.get(handle, 0) + count

    def closing(self, handle: Handle, statx: Statx) -> None:
        """Publish what was written since the last time. While the handle's descriptor is open."""
        opened = handle.node.opened
        if opened is None or handle.opener is None:
            return
        content = statx.at(handle.fd, b"").content()
        unseen, opened.content = opened.content != content, content
        written = self._written.pop(handle.number, None)
        if written is not None:
            self._feed.file(handle.opener, _WRITE, handle.node, handle.mount, written, statx.size())
        elif unseen and opened.backing:
            self._feed.file(handle.opener, _WRITE, handle.node, handle.mount, -1, statx.size())

    def closed(self, handle: Handle, opened: OpenFile) -> None:
        """Tell those who watch sources that a writer's descriptors have been closed: the kernel's own, and ours."""
        directory = handle.node.parent
        if self._log.heard and directory is not None:
            times = (1 if opened.backing else 0) + (0 if handle.shared else 1)
            self._log.closed((directory.key, handle.node.name, handle.mount.through, times))

    def places(self, handles: Handles) -> dict[tuple[bytes, bytes], list[Through]]:
        """Return what is open for writing: directory (its identity) and name, through what.

        What the host has renamed has two places: the one it is known by here, and the one it has now.
        """
        found: dict[tuple[bytes, bytes], list[Through]] = {}
        for handle in list(handles.files.values()):
            directory = handle.node.parent
            if handle.opener is None or directory is None:
                continue
            known = identity_of_key(directory.key), handle.node.name
            found.setdefault(known, []).append(handle.mount.through)
            with contextlib.suppress(OSError):  # closed just now
                rel = place_of(handle.fd, handle.mount.mount.source.fd)
                if rel is not None and rel != path_of(handle.mount, directory, handle.node.name):
                    now = directory_of(handle.fd, handle.mount.mount.source.fd)
                    if now is not None and now != known:
                        found.setdefault(now, []).append(handle.mount.through)
        return found

    def changing(self, opened: OpenFile, statx: Statx) -> None:
        """Publish what was written so far, before a request sets size or times."""
        for handle in _writers(opened)[:1]:
            self.closing(handle, statx)


def _writers(opened: OpenFile, besides: Handle | None = None) -> list[Handle]:
    return [handle for handle in list(opened.handles.values()) if handle.opener is not None and handle is not besides]
