"""The views as the transport knows them: a `MountState` for each mount, kept while the view is shown."""

from __future__ import annotations

import threading

from volfuse.fs.source import Source
from volfuse.fs.view import Mount, View
from volfuse.fs.viewtable import ViewTable
from volfuse.sys.statfs import file_system_type
from volfuse.transport.kernel.mounts import MountState

__all__ = ["ViewStates"]


class ViewStates:
    """Mount states by container; renaming a container keeps them."""

    def __init__(self, table: ViewTable) -> None:
        self.table = table
        self._lock = threading.Lock()
        self._states: dict[str, tuple[tuple[Mount, ...], dict[int, MountState]]] = {}  # guarded by self._lock

    def mount(self, view: View, mount: Mount) -> MountState:
        """Return the state of a mount of a view."""
        with self._lock:
            known = self._states.get(view.container)
            if known is None or known[0] is not view.mounts:
                known = self._states[view.container] = (view.mounts, {})
            state = known[1].get(id(mount))
            if state is None:
                kind = file_system_type(mount.source.fd) if isinstance(mount.source, Source) else 0
                state = known[1][id(mount)] = MountState(mount, file_system=kind)
            return state

    def known(self, view: View, mount: Mount) -> MountState | None:
        """Return the state of a mount of a view if the kernel has asked for the view."""
        with self._lock:
            known = self._states.get(view.container)
            return known[1].get(id(mount)) if known is not None and known[0] is view.mounts else None

    def drop(self, view: View) -> None:
        """Let go of a view that is no longer shown."""
        with self._lock:
            known = self._states.pop(view.container, None)
        for state in known[1].values() if known is not None else ():
            state.gone = True

    def of(self, view: View) -> list[MountState]:
        """Return what is known of a view's mounts."""
        with self._lock:
            known = self._states.get(view.container)
            return list(known[1].values()) if known is not None else []

    def all(self) -> list[MountState]:
        """Return what is known now."""
        with self._lock:
            return [state for _, states in self._states.values() for state in states.values()]
