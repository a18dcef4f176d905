"""The views of containers: what each shows from where, and where the user has mounted them.

A view exists from a container's creation to its removal. Here a container's mount points become a view plan: links of
the image on the way to a destination are followed, private trees and tmpfs are opened. Serving it is for `fs` and
the transport.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from volfuse.core.coherence import Coherence
from volfuse.core.datapath import DataPath
from volfuse.core.feed import Selection
from volfuse.core.hostchecks import telling
from volfuse.core.model import Container, MountPoint, MountType
from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.core.wire import TmpfsOptions
from volfuse.engine.places import make_places
from volfuse.engine.placing import place_of
from volfuse.engine.ports import BoundMount, PrivateTrees, Store, ViewBinder
from volfuse.engine.rootpath import follow
from volfuse.engine.state import StateRoot
from volfuse.errors import Conflict, Internal, InvalidSpec, NotFound, Unavailable, Unsupported
from volfuse.fs.removetree import remove_tree
from volfuse.fs.source import Source
from volfuse.fs.view import Mount, View
from volfuse.fs.viewtable import ViewTable
from volfuse.sys.owned import owned

__all__ = ["MountReport", "ViewReport", "Views"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MountReport:
    """One mount of a view, and which other containers share its source.

    Attributes:
        coherence: in force; None for what only this view can change.
        coherence_reason: why it is strict although leases were chosen; empty if it is not.
        data: how its data travels; None if that is not known.
    """

    destination: str
    source: str
    type: str
    label: str
    rw: bool
    shared_with: list[str]
    coherence: Coherence | None = None
    coherence_reason: str = ""
    data: DataPath | None = None


@dataclass(frozen=True, slots=True)
class ViewReport:
    """A view as `volfuse views` shows it, and what its container was given as `--volumes-from`."""

    container: str
    id: str
    path: str
    transport: str
    state: str
    volumes_from: list[str]
    mounts: list[MountReport]


class Views:
    """The views that are served, and the places where the user mounted them.

    Attributes:
        coherence: of mounts that have chosen none.
    """

    def __init__(
        self, state: StateRoot, store: Store, trees: PrivateTrees, table: ViewTable, binder: ViewBinder, directory: Path
    ) -> None:
        self._state = state
        self._store = store
        self._trees = trees
        self._table = table
        self._binder = binder
        self._directory = directory
        self._binding = threading.Lock()  # held during each mount and umount
        self._bound: dict[str, BoundMount] = {}  # by directory, those that are mounted; guarded by _binding
        self.transport = ""
        self.coherence = Coherence.STRICT
        self.data_path: Callable[[View, Mount], DataPath] | None = None  # what the transport says
        self.strict_because: Callable[[View, Mount], str] | None = None  # the same

    def attach_all(self) -> None:
        """Show the views of all containers; one that cannot be shown is logged and left out."""
        for container in self._store.containers():
            self.attach(container)

    def attach(self, container: Container) -> None:
        """Show a container's view. A failure is logged: the container stays, and can be removed."""
        try:
            self._table.attach(self._plan(container))
        except (OSError, Unavailable):
            _log.exception("cannot show the view of container %s", container.name)

    def detach(self, container: Container) -> None:
        """Take a removed container's view away, also from where the user mounted it."""
        with self._binding:
            for bound in self._bound_of(container):
                self._unbind(bound)
        with contextlib.suppress(NotFound):  # it could not be shown
            self._table.detach(container.name)

    def rename(self, container: Container, new_name: str) -> None:
        """Show a container's view under another name, also where the user mounted it."""
        with contextlib.suppress(NotFound):  # it could not be shown
            self._table.rename(container.name, new_name)
        with self._binding:
            for bound in self._bound_of(container):
                self._unbind(bound)
                self._bind(bound, new_name)

    def renew(self, container: Container) -> None:
        """Show a container's view anew, since sources have come that were missing."""
        with contextlib.suppress(NotFound):
            self._table.detach(container.name)
        self.attach(container)

    def make_places(self, container: Container) -> None:
        """Make the places for a start's mounts in a container's private tree: through the view they would cost more."""
        view = self._table.get(os.fsencode(container.name))
        root = next((mount for mount in view.mounts if not mount.destination), None) if view is not None else None
        if view is None or root is None or root.readonly or not isinstance(root.source, Source):
            return
        if made := make_places(root.source.fd):
            self._table.changed(view, made)

    def empty_tmpfs(self, container: Container) -> None:
        """Empty a container's tmpfs mounts, which do not outlive its programs."""
        view = self._table.get(os.fsencode(container.name))
        gone = []
        for mount in view.mounts if view is not None else ():
            if mount.private and mount.destination and isinstance(mount.source, Source):
                with owned(os.open(b".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=mount.source.fd)) as directory_fd:
                    for name in map(os.fsencode, os.listdir(directory_fd)):
                        remove_tree(directory_fd, name)
                        gone.append(mount.destination + b"/" + name)
        if view is not None and gone:
            self._table.changed(view, gone)

    def shown(self, container: Container) -> builtins.tuple[Mount, ...]:
        """Return the mounts of a view, their destinations without links; the private tree has an empty one.

        Raises:
            Internal: the view cannot be shown.
        """
        view = self._table.get(os.fsencode(container.name))
        if view is None:
            raise Internal(f"the view of container {container.name} cannot be shown: see the daemon's log")
        return view.mounts

    def _bound_of(self, container: Container) -> builtins.list[BoundMount]:
        return [bound for bound in self._bound.values() if bound.container == container.id]

    def _plan(self, container: Container) -> ViewPlan:
        root_fd = self._trees.open(self._state.container_dir(container.id), self._state.image_rootfs(container.image))
        mounts = [
            PlannedMount(
                destination=(),
                source=os.fsencode(self._state.container_dir(container.id) / "rootfs"),
                source_fd=root_fd,
                readonly=container.host_config.readonly_rootfs,
                sharing=Sharing.PRIVATE,
                inode_tag=container.serial,
                label="rootfs",
            )
        ]
        try:
            for number, mount in enumerate(container.mounts):
                destination = follow(root_fd, os.fsencode(mount.destination))
                if destination:  # `-v /` may be asked for, and means nothing
                    mounts.append(self._planned(container, number, mount, destination))
        except BaseException:
            for planned in mounts:
                if planned.source_fd >= 0:
                    os.close(planned.source_fd)
            raise
        return ViewPlan(container.id, container.name, tuple(mounts), telling(container.host_config))

    def _planned(
        self, container: Container, number: int, mount: MountPoint, destination: tuple[bytes, ...]
    ) -> PlannedMount:
        if mount.type is not MountType.TMPFS:
            source = Path(mount.source, mount.subpath)
            return PlannedMount(
                destination,
                os.fsencode(source),
                readonly=not mount.rw,
                label=_label(mount),
                volume=mount.name,
                below=os.fsencode(source.relative_to(mount.source)) if mount.subpath else b"",
                coherence=mount.coherence or self.coherence,
            )
        directory = self._state.container_dir(container.id) / "tmpfs" / str(number)
        options = mount.tmpfs or TmpfsOptions()
        return PlannedMount(
            destination,
            os.fsencode(directory),
            source_fd=self._open_tmpfs(options, directory),
            readonly=not mount.rw,
            sharing=Sharing.PRIVATE,
            label="tmpfs",
        )

    def _open_tmpfs(self, options: TmpfsOptions, directory: Path) -> int:
        """Open a tmpfs, or a directory in its stead where none can be mounted."""
        try:
            return self._trees.open_tmpfs(options)
        except Unavailable as exc:
            _log.info("a directory stands in for a tmpfs: %s", exc)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        directory.chmod(options.mode or 0o1777)
        return os.open(directory, os.O_PATH | os.O_DIRECTORY)

    def list(self) -> builtins.list[ViewReport]:
        """Return what each view shows, oldest container first."""
        containers = self._store.containers()
        return [
            ViewReport(
                container=container.name,
                id=container.id,
                path=str(self._directory / container.name),
                transport=self.transport,
                state=container.state.status.value,
                volumes_from=container.host_config.volumes_from or [],
                mounts=[
                    self._report(mount, container, containers, shown)
                    for mount, shown in zip(container.mounts, self._shown(container), strict=True)
                ],
            )
            for container in containers
        ]

    def _report(
        self, mount: MountPoint, owner: Container, containers: Iterable[Container], shown: tuple[View, Mount] | None
    ) -> MountReport:
        """Describe a mount; containers that mount the same source share it."""
        reason = self.strict_because(*shown) if shown is not None and self.strict_because is not None else ""
        coherence = Coherence.STRICT if reason else mount.coherence or self.coherence
        sharers = [
            other.name
            for other in containers
            if other.id != owner.id and mount.source and any(m.source == mount.source for m in other.mounts)
        ]
        private = mount.type is MountType.TMPFS
        return MountReport(
            destination=mount.destination,
            source=mount.source,
            type=mount.type.value,
            label=_label(mount),
            rw=mount.rw,
            shared_with=sharers,
            coherence=None if private else coherence,
            coherence_reason=reason,
            data=self.data_path(*shown) if shown is not None and self.data_path is not None else None,
        )

    def _shown(self, container: Container) -> builtins.list[tuple[View, Mount] | None]:
        """Return what the view shows for each mount of a container; None where that is not known, or nobody serves."""
        view = self._table.get(os.fsencode(container.name)) if self.data_path is not None else None
        shown = [mount for mount in view.mounts if mount.destination] if view is not None else []
        if view is None or len(shown) != len(container.mounts):  # `-v /` is not shown
            return [None] * len(container.mounts)
        return [(view, mount) for mount in shown]

    def not_leased(self) -> dict[str, str]:
        """Return why mounts are strict although leases were chosen, by volume or source."""
        reports = (report for view in self.list() for report in view.mounts)
        return {report.label: report.coherence_reason for report in reports if report.coherence_reason}

    def mounts(self) -> builtins.list[BoundMount]:
        """Return what the user mounted outside of the directory of views, by directory."""
        with self._binding:
            return sorted(self._bound.values(), key=lambda bound: bound.directory)

    def place_of(self, path: str) -> Selection:
        """Return the volume or bind, and the place in it, that an absolute path of the host means.

        Raises:
            NotFound: it lies in none.
        """
        return place_of(path, self._table, self._directory, self.mounts())

    def mount(self, container: Container | None, directory: str, *, read_only: bool) -> None:
        """Mount a view (or, with `None`, the directory of all views) at a directory of the user's.

        Raises:
            InvalidSpec: it is no absolute path of a directory, or lies among the views.
            Conflict: a view is mounted there.
            OSError: the system refuses.
        """
        path = Path(directory)
        if not path.is_absolute():
            raise InvalidSpec(f"mount at {directory}: the path must be absolute")
        if path.resolve().is_relative_to(self._directory):
            raise InvalidSpec(f"mount at {directory}: it lies among the views")
        if not path.is_dir():
            raise InvalidSpec(f"mount at {directory}: there is no such directory")
        bound = BoundMount(str(path.resolve()), container.id if container else None, read_only)
        with self._binding:
            if bound.directory in self._bound:
                raise Conflict(f"mount at {directory}: a view is mounted there")
            self._remember(bound)  # before the mount: a kill in between must not leave one that nobody knows
            try:
                self._bind(bound, container.name if container else "")
            except BaseException:
                self._forget(bound)
                raise

    def umount(self, directory: str) -> None:
        """Take a mount away that `mount` made.

        Raises:
            NotFound: no view is mounted there.
        """
        with self._binding:
            bound = self._bound.get(directory) or self._bound.get(str(Path(directory).resolve()))
            if bound is None:
                raise NotFound(f"umount {directory}: no view is mounted there")
            self._unbind(bound)
            self._forget(bound)

    def bind_all(self) -> None:
        """Mount again what was mounted when the last daemon ended; what cannot be mounted is logged and forgotten."""
        names = {c.id: c.name for c in self._store.containers()}
        with self._binding:
            for bound in self._store.bound():
                try:
                    self._binder.unbind(bound.directory)
                    self._bind(bound, names[bound.container] if bound.container else "")
                except Unsupported as exc:  # root made it, another user starts the daemon now
                    _log.warning("cannot mount a view again: %s", exc)
                    self._forget(bound)
                except OSError:
                    _log.exception("cannot mount a view at %s again", bound.directory)
                    self._forget(bound)

    def unbind_all(self) -> None:
        """Take all those mounts away, and remember them for the next start."""
        with self._binding:
            for bound in list(self._bound.values()):
                self._unbind(bound)

    def _bind(self, bound: BoundMount, view: str) -> None:
        self._binder.bind(view, bound.directory, read_only=bound.read_only)
        self._bound[bound.directory] = bound

    def _unbind(self, bound: BoundMount) -> None:
        self._binder.unbind(bound.directory)
        del self._bound[bound.directory]

    def _remember(self, bound: BoundMount) -> None:
        with self._state.change() as change:
            change.rows.put_bound(bound)

    def _forget(self, bound: BoundMount) -> None:
        with self._state.change() as change:
            change.rows.delete_bound(bound.directory)


def _label(mount: MountPoint) -> str:
    return mount.name or mount.source
