"""Use cases of volumes: create, list, remove, prune.

A volume's lock (by name) is held while it is made, filled or removed, so that none of these meets another half done.
"""

from __future__ import annotations

import builtins
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from volfuse.core.coherence import OPTION, chosen_by
from volfuse.core.events import Event, EventType
from volfuse.core.filters import Filters, volume_matches
from volfuse.core.ids import VolumeName, check_volume_name
from volfuse.core.model import ANONYMOUS_LABEL, Volume
from volfuse.core.ports import Clock, Ids
from volfuse.core.references import in_use_message, prunable
from volfuse.engine.events import EventLog
from volfuse.engine.locks import NamedLocks
from volfuse.engine.ports import Store
from volfuse.engine.state import Change, StateRoot
from volfuse.errors import Conflict, InUse, InvalidSpec, NotFound, Unsupported

__all__ = ["Volumes", "check_driver", "check_options", "disk_usage", "make_volume_dir"]

_LOCAL = "local"
_OPTIONS = frozenset({"type", "o", "device", "size", OPTION})


class Volumes:
    """The volumes of the `local` driver."""

    def __init__(self, state: StateRoot, store: Store, events: EventLog, clock: Clock, ids: Ids) -> None:
        self._state = state
        self._store = store
        self._events = events
        self._clock = clock
        self._ids = ids
        self.locks = NamedLocks()
        self._pruning = threading.Lock()

    def create(
        self,
        name: str,
        *,
        driver: str = "",
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Create a volume; one that exists is returned as it is, whatever options and labels are asked for.

        Args:
            name: empty for an anonymous volume.

        Raises:
            InvalidSpec: bad name or option.
            NotFound: unknown driver.
        """
        check_driver(driver)
        check_options(options)
        volume = self.describe(name or self._ids.new_id(), anonymous=not name, options=options, labels=labels)
        with self.locks.hold([volume.name]):
            if existing := self._store.volume(volume.name):
                return existing
            with self._state.workspace() as workspace, self._state.change() as change:
                make_volume_dir(workspace / volume.name)
                self.add(change, volume, workspace / volume.name)
        self.announce(volume.name, "create")
        return volume

    def describe(
        self,
        name: str,
        *,
        anonymous: bool,
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Volume:
        """Return the value of a new volume, not yet stored.

        Raises:
            InvalidSpec: bad name.
        """
        if anonymous:
            labels = {**(labels or {}), ANONYMOUS_LABEL: ""}
        try:
            checked = check_volume_name(name)
        except InvalidSpec as exc:
            raise InvalidSpec(f"create {name}: {exc}") from exc
        return Volume(
            name=checked,
            created_ns=self._clock.now_ns(),
            options=dict(options) if options else None,
            labels=dict(labels) if labels else None,
        )

    def add(self, change: Change, volume: Volume, staged: Path) -> None:
        """Add a volume whose folder lies in staging to a change; the caller holds its lock."""
        change.rows.put_volume(volume)
        change.place(staged, self._state.volume_dir(volume.name))

    def delete(self, change: Change, name: VolumeName) -> None:
        """Add a volume's removal to a change; the caller holds its lock."""
        change.rows.delete_volume(name)
        change.discard(self._state.volume_dir(name))

    def get(self, name: str) -> Volume:
        """Return a volume.

        Raises:
            NotFound: there is none of this name.
        """
        volume = self._store.volume(VolumeName(name))
        if volume is None:
            raise NotFound(f"get {name}: no such volume")
        return volume

    def list(self, filters: Filters) -> builtins.list[Volume]:
        """Return the volumes that pass the filters `dangling`, `driver`, `label` and `name`, by name."""
        return [v for v in self._store.volumes() if volume_matches(v, filters, used=bool(self._store.users(v.name)))]

    def remove(self, name: str, *, force: bool) -> None:
        """Remove a volume and its data.

        Raises:
            NotFound: there is none, unless `force`.
            InUse: a container refers to it; `force` does not help.
        """
        key = VolumeName(name)
        with self.locks.hold([key]):
            if self._store.volume(key) is None:
                if force:
                    return
                raise NotFound(f"get {name}: no such volume")
            if users := self._store.users(key):
                raise InUse(in_use_message(key, users))
            with self._state.change() as change:
                self.delete(change, key)
        self.announce(key, "destroy")

    def prune(self, filters: Filters, *, api_version: tuple[int, int]) -> tuple[builtins.list[VolumeName], int]:
        """Remove volumes that nothing refers to; return their names and the bytes won.

        Raises:
            Conflict: another prune is at work.
        """
        if not self._pruning.acquire(blocking=False):
            raise Conflict("a prune operation is already running")
        try:
            removed, reclaimed = self._prune(filters, api_version)
        finally:
            self._pruning.release()
        self._events.publish(Event(EventType.VOLUME, "prune", "", {"reclaimed": str(reclaimed)}, self._clock.now_ns()))
        return removed, reclaimed

    def _prune(self, filters: Filters, api_version: tuple[int, int]) -> tuple[builtins.list[VolumeName], int]:
        removed, reclaimed = [], 0
        for volume in self._store.volumes():
            if not prunable(volume, filters, api_version=api_version):
                continue
            with self.locks.hold([volume.name]):
                if self._store.users(volume.name) or self._store.volume(volume.name) is None:
                    continue
                size = disk_usage(self._state.volume_data(volume.name))
                with self._state.change() as change:
                    self.delete(change, volume.name)
            removed.append(volume.name)
            reclaimed += size
            self.announce(volume.name, "destroy")
        return removed, reclaimed

    def mountpoint(self, volume: Volume) -> str:
        """Return the source directory of a volume."""
        return str(self._state.volume_data(volume.name))

    def usage(self, volume: Volume) -> tuple[int, int]:
        """Return the bytes that a volume's files take, and how many containers refer to it."""
        return disk_usage(self._state.volume_data(volume.name)), len(self._store.users(volume.name))

    def announce(self, name: VolumeName, action: str, **more: str) -> None:
        """Publish what happened to a volume."""
        self._events.publish(Event(EventType.VOLUME, action, name, {"driver": _LOCAL, **more}, self._clock.now_ns()))


def check_driver(driver: str) -> None:
    """Refuse a driver that is not `local`.

    Raises:
        NotFound: as Docker does for a plugin that is not installed.
    """
    if driver not in ("", _LOCAL):
        raise NotFound(f'error looking up volume plugin {driver}: plugin "{driver}" not found')


def check_options(options: Mapping[str, str] | None) -> None:
    """Refuse options that the `local` driver does not have, or that volfuse does not serve.

    Raises:
        InvalidSpec: unknown, one without another that it needs (moby volume/local), or a coherence that is none.
        Unsupported: file systems to be mounted on the volume.
    """
    given = {key: value for key, value in (options or {}).items() if value}
    for key in options or {}:
        if key not in _OPTIONS:
            raise InvalidSpec(f'invalid option: "{key}"')
    chosen_by(options)
    needs = {"device": ("type",), "type": ("device",), "o": ("type", "device")}
    for key, others in needs.items():
        for other in others:
            if key in given and other not in given:
                raise InvalidSpec(f'missing required option: "{other}"')
    if "size" in given:
        raise InvalidSpec("quota size requested but no quota support")
    if "device" in given:
        raise Unsupported("volume options type, o and device: volfuse does not mount file systems on volumes")


def make_volume_dir(directory: Path) -> Path:
    """Make a volume's folder with an empty source directory in it, and return the latter."""
    directory.mkdir(mode=0o701)
    directory.chmod(0o701)
    data = directory / "_data"
    data.mkdir()
    data.chmod(0o755)
    return data


def disk_usage(directory: Path) -> int:
    """Return the bytes of the regular files below a directory, each file counted once, links not followed."""
    total, seen, pending = 0, set(), [os.fspath(directory)]
    while pending:
        try:
            entries = os.scandir(pending.pop())
        except (FileNotFoundError, NotADirectoryError):  # removed while we look
            continue
        with entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif status.st_ino not in seen:
                    seen.add(status.st_ino)
                    total += status.st_size
    return total
