"""All views by name: what the root of the FUSE mount lists.

Reading takes no lock: the dictionary is replaced, never changed, so a view shows, is renamed and vanishes in one step.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Collection, Mapping
from typing import Protocol

from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.errors import Conflict, NotFound
from volfuse.fs.changelog import ChangeLog
from volfuse.fs.inodes import ROOT_INODE, InodeNumbers
from volfuse.fs.source import MissingSource, SourceTable
from volfuse.fs.view import Attributes, Mount, Place, View, synthetic_directory

__all__ = ["Listener", "ViewTable"]

_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Hears of changes that do not come through a mount: for transports whose kernel keeps names."""

    def names_changed(self, name: bytes, before: View | None, now: View | None) -> None:
        """Hear which view had a name, and that view as it is shown now.

        Args:
            before: None for a new view.
            now: None for one that is gone.
        """
        ...

    def contents_changed(self, view: View, paths: Collection[bytes]) -> None:
        """Hear which paths of a view were made, replaced, removed or given other attributes; no leading slash."""
        ...


class ViewTable:
    """Views by container name.

    Args:
        device: st_dev of the state root; files there keep their inode numbers.

    Attributes:
        changes: what was done through the views.
    """

    def __init__(self, device: int) -> None:
        self.changes = ChangeLog()
        self._sources = SourceTable(InodeNumbers(device))
        self._lock = threading.Lock()  # taken by whoever replaces self._views
        self._views: Mapping[bytes, View] = {}
        self._changed_ns = time.time_ns()
        self._listeners: tuple[Listener, ...] = ()

    def subscribe(self, listener: Listener) -> None:
        """Tell `listener` of each change after it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Tell `listener` nothing more."""
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other != listener)

    def attach(self, plan: ViewPlan) -> View:
        """Show a container. Takes the descriptors in the plan, also when it fails.

        A source that cannot be opened does not keep the view from being: what lies below its mount point is EIO.

        Raises:
            Conflict: the name is taken.
        """
        mounts = tuple(self._mount(planned, plan) for planned in plan.mounts)
        view = View(plan.container, plan.name, mounts, plan.telling)
        with self._lock:
            key = os.fsencode(plan.name)
            if key in self._views:
                raise Conflict(f"view {plan.name} exists already")
            self._replace({**self._views, key: view})
            listeners = self._listeners
        for listener in listeners:
            listener.names_changed(key, None, view)
        return view

    def detach(self, name: str) -> None:
        """Stop showing a container. Open handles go on working; its sources are closed with their last use.

        Raises:
            NotFound: there is no such view.
        """
        with self._lock:
            gone = self._named(name)
            self._replace({key: view for key, view in self._views.items() if view is not gone})
            listeners = self._listeners
        for listener in listeners:
            listener.names_changed(os.fsencode(name), gone, None)

    def rename(self, old: str, new: str) -> None:
        """Show a container under another name.

        Raises:
            NotFound: there is no view `old`.
            Conflict: there is a view `new`.
        """
        with self._lock:
            view = self._named(old)
            if os.fsencode(new) in self._views:
                raise Conflict(f"view {new} exists already")
            others = {key: other for key, other in self._views.items() if other is not view}
            renamed = view.renamed(new)
            self._replace({**others, os.fsencode(new): renamed})
            listeners = self._listeners
        for listener in listeners:
            listener.names_changed(os.fsencode(old), view, renamed)

    def changed(self, view: View, paths: Collection[bytes]) -> None:
        """Say that the daemon has changed paths of a view past the mount, so that nobody goes by what was there.

        Returns when it holds. Not for a thread that serves a request of the mount: the kernel may wait for that one.
        """
        with self._lock:
            listeners = self._listeners
        for listener in listeners:
            listener.contents_changed(view, paths)

    def get(self, name: bytes) -> View | None:
        """Return the view shown as `name`."""
        return self._views.get(name)

    def names(self) -> list[bytes]:
        """Return the names of all views."""
        return list(self._views)

    def views(self) -> list[View]:
        """Return all views."""
        return list(self._views.values())

    def attributes(self) -> Attributes:
        """Return the attributes of the directory that lists the views."""
        return synthetic_directory(ROOT_INODE, self._changed_ns)

    def locate(self, path: bytes) -> Place:
        """Return where a path below the root lies: name of a view, then a path in it; no leading slash.

        Raises:
            OSError: ENOENT if there is no such view.
        """
        name, _, rest = path.partition(b"/")
        view = self._views.get(name)
        if view is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return view.locate(rest)

    def locate_entry(self, path: bytes) -> Place:
        """Return where a directory entry below the root lies; see `View.locate_entry`.

        Raises:
            OSError: EPERM for a name in the root itself, which only containers make, EBUSY if a container has it.
        """
        name, slash, rest = path.partition(b"/")
        view = self._views.get(name)
        if view is None:
            number = errno.ENOENT if slash else errno.EPERM
            raise OSError(number, os.strerror(number), path)
        return view.locate_entry(rest)

    def _named(self, name: str) -> View:
        try:
            return self._views[os.fsencode(name)]
        except KeyError:
            raise NotFound(f"no such view: {name}") from None

    def _replace(self, views: Mapping[bytes, View]) -> None:
        self._views = views
        self._changed_ns = time.time_ns()

    def _mount(self, planned: PlannedMount, plan: ViewPlan) -> Mount:
        source = self._sources.open(planned)
        if isinstance(source, MissingSource):
            _log.warning("view %s: source %s is missing: %s", plan.name, os.fsdecode(source.path), source.reason)
        return Mount(
            destination=b"/".join(planned.destination),
            source=source,
            readonly=planned.readonly,
            private=planned.sharing is Sharing.PRIVATE,
            label=planned.label,
            through=planned.through(plan.container),
            coherence=planned.coherence,
        )
