"""Hearing: the source directories behind what is watched in views, and what is to be done again when one tells.

A watched directory of a view is heard where it lies; so is the one around it, which tells what happens to the directory
itself, and that around a watched file. A new directory is heard for a while without being watched: whoever watches
what is around it (a recursive watcher) is about to watch it too.

Lock order: the source watcher calls with no lock of its own, and is called without `_lock`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final

from volfuse.core.watching import WatchEvent, What, identity_of_key
from volfuse.errors import Unavailable
from volfuse.fs.watching import SourceWatcher, Watch
from volfuse.sys.owned import owned
from volfuse.sys.statx import Statx
from volfuse.transport.kernel.mounts import MountState
from volfuse.transport.kernel.nodes import DirectoryNode, File
from volfuse.transport.kernel.replay.queues import Queues
from volfuse.transport.kernel.replay.steps import Do, Step, step_of
from volfuse.transport.kernel.server import Server

__all__ = ["Hearing"]

_log = logging.getLogger(__name__)

_DIRECTORIES: Final = 16384
_GRACE_S: Final = 2.0

_FROM, _TO, _CREATE = int(What.MOVED_FROM), int(What.MOVED_TO), int(What.CREATE)
_ISDIR, _IGNORED = int(What.ISDIR), int(What.IGNORED)
_OF_FILES: Final = int(What.MODIFY | What.ATTRIB | What.CLOSE_WRITE)
_O_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Heard:
    """A source directory that is heard; listens for itself.

    Attributes:
        key: as the nodes know it.
        targets: nodes of views in which it is watched, with the events that are wanted.
        above: nodes of watched directories in it, by name, whose views do not watch it itself.
        files: watched files in it, by name.
        grace: mounts in which it may be watched soon, with the events that are wanted around it; until when.
    """

    __slots__ = ("_hearing", "above", "files", "grace", "key", "targets", "until_s", "watch")

    def __init__(self, hearing: Hearing, key: bytes) -> None:
        self._hearing = hearing
        self.key = key
        self.targets: dict[DirectoryNode, int] = {}
        self.above: dict[bytes, list[DirectoryNode]] = {}
        self.files: dict[bytes, File] = {}
        self.grace: dict[MountState, int] = {}
        self.until_s = 0.0
        self.watch: Watch | None = None

    def happened(self, event: WatchEvent) -> None:
        """Hear of an event."""
        self._hearing._happened(self, event)

    def lost(self, reason: str) -> None:
        """Hear that events were lost."""
        self._hearing.complain(f"watchers in views may have missed changes: {reason}")

    def nodes(self) -> Iterator[tuple[DirectoryNode, int]]:
        """Return the nodes at which an event may be heard, with the events that are wanted."""
        yield from self.targets.items()
        for mount, mask in self.grace.items():
            node = mount.nodes.get(self.key)
            if node is not None and node not in self.targets:
                yield node, mask

    def is_wanted(self, now_s: float) -> bool:
        """Say whether anybody still has a use for it."""
        return bool(self.targets or self.above or self.files) or self.until_s > now_s


class _Wanted:
    """What is to be heard because of what is watched, by key of the source directory."""

    def __init__(self) -> None:
        self.targets: dict[bytes, dict[DirectoryNode, int]] = {}
        self.above: dict[bytes, dict[bytes, list[DirectoryNode]]] = {}
        self.files: dict[bytes, dict[bytes, File]] = {}
        self.places: dict[bytes, DirectoryNode | File] = {}

    def watched(self, node: DirectoryNode, mask: int) -> None:
        """Add a watched directory of a view."""
        if node.directory is not None:
            self.targets.setdefault(node.directory.key, {})[node] = mask
            self.places[node.directory.key] = node

    def around(self) -> None:
        """Add what is around watched directories, where it is not watched itself."""
        for targets in list(self.targets.values()):
            for node in targets:
                parent, directory = node.parent, node.directory
                if parent is None or directory is None or parent.mount is not node.mount or parent.directory is None:
                    continue
                if parent not in self.targets.get(parent.directory.key, {}):
                    names = self.above.setdefault(parent.directory.key, {})
                    names.setdefault(directory.name, []).append(node)
                    self.places[parent.directory.key] = parent

    def watched_file(self, file: File) -> None:
        """Add a watched file."""
        if file.parent is not None and file.name and not file.mount.private:
            self.files.setdefault(file.parent.key, {})[file.name] = file
            self.places.setdefault(file.parent.key, file)


class Hearing:
    """Turns what happens in sources into steps for the views that watch.

    Attributes:
        places: watched directories by node id of the directory around them and their name there, as the view's kernel
            has them.
    """

    def __init__(self, server: Server, watcher: SourceWatcher, queues: Queues) -> None:
        self._server = server
        self._watcher = watcher
        self._queues = queues
        self._lock = threading.Lock()
        self._heard: dict[bytes, _Heard] = {}  # by identity; guarded by self._lock
        self._ended = False  # guarded by self._lock
        self._expires_s = math.inf  # guarded by self._lock
        # The next two are the watcher's thread's only.
        self._moving: dict[int, tuple[_Heard, WatchEvent]] = {}
        self._statx = Statx()
        self._complaints: set[str] = set()
        self._files: frozenset[int] = frozenset()  # replaced as a whole
        self.places: dict[tuple[int, bytes], DirectoryNode] = {}

    def __len__(self) -> int:
        """Return how many source directories are heard."""
        return len(self._heard)

    def is_watched(self, file: File) -> bool:
        """Say whether a file is watched itself: it hears by itself of what is done through any view."""
        return file.id in self._files

    def update(self, masks: Mapping[int, int], statx: Statx) -> None:
        """Hear what is behind the nodes that are watched, and nothing else.

        Args:
            masks: events that are wanted, by node id.
        """
        by_id = self._server.nodes.by_id
        wanted = _Wanted()
        files = set()
        for number, mask in masks.items():
            node = by_id.get(number)
            if isinstance(node, File):
                files.add(number)
                wanted.watched_file(node)
            elif isinstance(node, DirectoryNode) and not node.mount.private:
                wanted.watched(node, mask)
        wanted.around()
        self._files = frozenset(files)
        nodes = [node for targets in wanted.targets.values() for node in targets]
        self.places = {(n.parent.id, n.directory.name): n for n in nodes if n.parent and n.directory}
        for heard, place in self._enter(wanted):
            self._watch(heard, place, statx)
        self._drop_unwanted()

    def expire(self, now_s: float) -> None:
        """Let go of new directories that nobody has come to watch."""
        if self._expires_s < now_s:
            with self._lock:
                later = [heard.until_s for heard in self._heard.values() if heard.until_s >= now_s]
                self._expires_s = min(later, default=math.inf)
                for heard in self._heard.values():
                    if heard.until_s < now_s:
                        heard.grace = {}
            self._drop_unwanted()

    def close(self) -> None:
        """Hear nothing more."""
        with self._lock:
            self._ended = True
            heard, self._heard = list(self._heard.values()), {}
        for directory in heard:
            if directory.watch is not None:
                directory.watch.close()

    def complain(self, text: str) -> None:
        """Log a warning, once."""
        if text not in self._complaints:
            self._complaints.add(text)
            _log.warning(text)

    # On the looker's thread.

    def _enter(self, wanted: _Wanted) -> list[tuple[_Heard, DirectoryNode | File]]:
        """Put what is wanted into the table; return what is new there."""
        new = []
        with self._lock:
            if self._ended:
                return []
            for key, place in wanted.places.items():
                known = self._heard.get(identity_of_key(key))
                if known is None and len(self._heard) >= _DIRECTORIES:
                    break
                if known is None or known.key != key:
                    heard = self._heard[identity_of_key(key)] = _Heard(self, key)
                    new.append((heard, place))
            for heard in self._heard.values():
                heard.targets = wanted.targets.get(heard.key, {})
                heard.above = wanted.above.get(heard.key, {})
                heard.files = wanted.files.get(heard.key, {})
            full = len(self._heard) >= _DIRECTORIES
        if full:
            self.complain(f"watchers in views are told of {_DIRECTORIES} directories, and of no more")
        return new

    def _watch(self, heard: _Heard, place: DirectoryNode | File, statx: Statx) -> None:
        directories = self._server.directories
        try:
            holder = directories.around(place, statx) if isinstance(place, File) else directories.of(place, statx)
            heard.watch = self._watcher.watch(holder.fd, heard)
        except (OSError, Unavailable) as exc:
            if isinstance(exc, Unavailable):
                self.complain(f"watchers in views cannot be told of all changes: {exc}")
            self._drop(heard)

    def _drop(self, heard: _Heard) -> None:
        with self._lock:
            if self._heard.get(identity_of_key(heard.key)) is heard:
                del self._heard[identity_of_key(heard.key)]

    def _drop_unwanted(self) -> None:
        now_s = time.monotonic()
        with self._lock:
            gone = [heard for heard in self._heard.values() if not heard.is_wanted(now_s)]
            for heard in gone:
                del self._heard[identity_of_key(heard.key)]
        for heard in gone:
            if heard.watch is not None:
                heard.watch.close()

    # On the source watcher's thread.

    def _happened(self, heard: _Heard, event: WatchEvent) -> None:
        what = event.what & ~_ISDIR
        if what & _IGNORED:
            self._drop(heard)
            return
        if event.what & _ISDIR and what in (_CREATE, _TO):
            self._expect(heard, event.name)
        with self._lock:
            if what == _FROM and event.other in self._heard:
                self._moving[event.cookie] = heard, event
                return
            old = self._moving.pop(event.cookie, None) if what == _TO else None
            if old is not None:
                self._moved(old[0], old[1].name, heard, event)
            else:
                self._changed(heard, event, what)

    def _expect(self, around: _Heard, name: bytes) -> None:
        """Hear a directory that has come before its coming is told, and the directories in it."""
        masks: dict[MountState, int] = {}
        for node, mask in around.nodes():
            masks[node.mount] = masks.get(node.mount, 0) | mask
        nodes = [node for node, _ in around.nodes()]
        if not nodes:
            return
        try:
            holder = self._server.directories.of(nodes[0], self._statx)
            self._expect_below(holder.fd, name, nodes[0].mount, masks)
        except OSError:  # it is gone again
            return

    def _expect_below(self, above_fd: int, name: bytes, mount: MountState, masks: dict[MountState, int]) -> None:
        with owned(os.open(name, _O_DIRECTORY, dir_fd=above_fd)) as fd:
            if not self._expect_at(fd, mount.key(self._statx.at(fd, b"")), masks):
                return
            with os.scandir(fd) as entries:
                names = [os.fsencode(entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
            for below in names:
                with contextlib.suppress(OSError):
                    self._expect_below(fd, below, mount, masks)

    def _expect_at(self, fd: int, key: bytes, masks: dict[MountState, int]) -> bool:
        """Hear a directory for a while; false if there is no more room."""
        with self._lock:
            heard = self._heard.get(identity_of_key(key))
            known = heard is not None and heard.key == key
            if heard is None or not known:
                if self._ended or len(self._heard) >= _DIRECTORIES:
                    return False
                heard = self._heard[identity_of_key(key)] = _Heard(self, key)
            heard.grace = masks
            heard.until_s = time.monotonic() + _GRACE_S
            self._expires_s = min(self._expires_s, heard.until_s)
            if known:
                return True
        try:
            heard.watch = self._watcher.watch(fd, heard)
        except (OSError, Unavailable):
            self._drop(heard)
            return False
        return True

    def _changed(self, heard: _Heard, event: WatchEvent, what: int) -> None:
        file = heard.files.get(event.name) if what & _OF_FILES and event.author is None else None
        told = file.id if file is not None else 0
        for node, mask in heard.nodes():
            # What happens to a directory itself is told around it too, and then with its author.
            if mask & what and node.mount.through is not event.author and (event.name or _is_root(node)):
                self._add(node, event, told)
                told = 0
        for below in heard.above.get(event.name, ()) if event.what & _ISDIR else ():
            if below.parent is not None and below.mount.through is not event.author:
                self._add(below.parent, event)
        if told and file is not None:
            # Nobody watches the directory, but the file has a name in it by which it can be told.
            around: DirectoryNode | None = file.mount.nodes.get(heard.key)
            if around is not None:
                self._add(around, event, told)

    def _moved(self, old: _Heard, name: bytes, new: _Heard, event: WatchEvent) -> None:
        """Tell of a rename, in each view that watches either side."""
        is_directory = event.what & _ISDIR != 0
        leaving = {node.mount: node for node, mask in old.nodes() if mask & _FROM}
        arriving = {node.mount: node for node, mask in new.nodes() if mask & _TO}
        for below in old.above.get(name, ()):
            if below.parent is not None:
                leaving.setdefault(below.mount, below.parent)
        for mount in {**leaving, **arriving}:
            if mount.through is event.author:
                continue
            # The other side may be known to the view's kernel without being watched.
            source = leaving.get(mount) or mount.nodes.get(old.key)
            target = arriving.get(mount) or mount.nodes.get(new.key)
            if source is not None and target is not None:
                step = Step(Do.MOVE, source.id, name, is_directory, target.id, event.name)
            elif source is not None:
                step = Step(Do.LEAVE, source.id, name, is_directory)
            elif target is not None:
                step = Step(Do.ARRIVE, target.id, event.name, is_directory)
            else:
                continue
            self._queues.add(mount, step)

    def _add(self, node: DirectoryNode, event: WatchEvent, file: int = 0) -> None:
        step = step_of(node.id, event.name, event.what, file)
        if step is not None:
            self._queues.add(node.mount, step)


def _is_root(node: DirectoryNode) -> bool:
    return node.parent is None or node.parent.mount is not node.mount
