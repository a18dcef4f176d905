"""Creating a container: resolve its mounts, build its trees in staging, fill its volumes, commit.

Nothing is visible before the commit. If it fails on the way, named volumes that it would have made are left behind,
empty, and nothing else: what Docker does (docker-semantics 8.16).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from volfuse.core.capabilities import capability_numbers
from volfuse.core.hostchecks import check_config, check_host, endpoints, left_out
from volfuse.core.ids import ContainerId, VolumeName
from volfuse.core.imageconfig import merge
from volfuse.core.model import Container, Image, MountPoint, MountType, Volume
from volfuse.core.ports import Clock, Ids
from volfuse.core.resolve import Resolution, VolumeRequest, resolve
from volfuse.core.resources import Controller, limited
from volfuse.core.restart import check_policy
from volfuse.core.runplan import DEFAULT_SHM_BYTES
from volfuse.core.wire import CreateRequest, HostConfig
from volfuse.engine.places import make_places
from volfuse.engine.ports import PrivateTrees, Store
from volfuse.engine.preparation import make_sources
from volfuse.engine.rootpath import make_directories, open_directory
from volfuse.engine.state import Change, StateRoot
from volfuse.engine.volumes import Volumes, check_driver, check_options, make_volume_dir
from volfuse.errors import Internal, NotFound
from volfuse.fs.copytree import copy_tree

__all__ = ["Creator", "Draft"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A container that is committed, and what came with it."""

    container: Container
    new_volumes: tuple[VolumeName, ...]
    warnings: tuple[str, ...]


class Creator:
    """Makes containers."""

    def __init__(
        self,
        state: StateRoot,
        store: Store,
        volumes: Volumes,
        trees: PrivateTrees,
        controllers: Collection[Controller],
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._state = state
        self._store = store
        self._volumes = volumes
        self._trees = trees
        self._controllers = controllers
        self._clock = clock
        self._ids = ids

    def create(self, request: CreateRequest, name: str, image: Image, lender: Callable[[str], Container]) -> Draft:
        """Create a container; the caller holds its name and keeps the image from going away.

        Raises:
            InvalidSpec, NotFound, Internal: as Docker's create (docker-semantics 2).
        """
        host, warnings = self._host_config(request.host_config)
        config = merge(request, image.config)
        check_config(config)
        warnings += left_out(request, config)
        resolution = resolve(
            config,
            host,
            lender=lender,
            ids=self._ids,
            volume_path=lambda volume: str(self._state.volume_data(volume)),
            source_exists=os.path.lexists,
        )
        draft = Container(
            id=ContainerId(self._ids.new_id()),
            serial=0,
            name=name,
            created_ns=self._clock.now_ns(),
            image=image.id,
            image_ref=request.image,
            config=config,
            host_config=host,
            mounts=list(resolution.mounts),
            networks=endpoints(request),
        )
        return self._build(draft, resolution, warnings)

    def _host_config(self, wanted: HostConfig) -> tuple[HostConfig, list[str]]:
        """Return what is asked of the host as far as it can be had, and warnings about the rest."""
        check_host(wanted)
        check_policy(wanted)
        capability_numbers(wanted.cap_add, wanted.cap_drop)
        shown = msgspec.structs.replace(
            wanted,
            shm_size=wanted.shm_size or DEFAULT_SHM_BYTES,
            ipc_mode=wanted.ipc_mode or "private",
            cgroupns_mode=wanted.cgroupns_mode or "private",
        )
        return limited(shown, self._controllers, os.cpu_count() or 1)

    def _build(self, draft: Container, resolution: Resolution, warnings: Sequence[str]) -> Draft:
        new = self._describe(resolution.volumes)
        touched = {m.name for m in resolution.mounts if m.name} | {v.name for v in new}
        with self._volumes.locks.hold(touched), self._state.workspace() as workspace:
            missing = [volume for volume in new if self._store.volume(volume.name) is None]
            try:
                settled = msgspec.structs.replace(draft, mounts=self._settled(draft.mounts, missing))
                plan = _Build(self._state, workspace, settled, {v.name for v in missing})
                plan.check_inherited(self._store)
                plan.make_volumes()
                plan.fill_volumes(self._state.image_rootfs(draft.image))
                make_sources(draft)
                plan.make_tree(self._trees)
                with self._state.change() as change:
                    container = plan.commit(change, missing)
            except BaseException:
                self._leave_named(missing)
                raise
        return Draft(container, tuple(v.name for v in missing), (*warnings, *resolution.warnings))

    def _settled(self, mounts: Iterable[MountPoint], missing: Iterable[Volume]) -> list[MountPoint]:
        """Give mounts that chose no coherence that of their volume."""
        new = {volume.name: volume for volume in missing}
        settled = []
        for mount in mounts:
            volume = None
            if mount.name and mount.coherence is None:
                volume = new.get(mount.name) or self._store.volume(mount.name)
            settled.append(msgspec.structs.replace(mount, coherence=volume.coherence) if volume else mount)
        return settled

    def _describe(self, requests: Iterable[VolumeRequest]) -> list[Volume]:
        described = []
        for request in requests:
            check_driver(request.driver)
            check_options(request.options)
            described.append(
                self._volumes.describe(
                    request.name, anonymous=request.anonymous, options=request.options, labels=request.labels
                )
            )
        return described

    def _leave_named(self, missing: Iterable[Volume]) -> None:
        for volume in missing:
            if not volume.anonymous:
                self._volumes.create(volume.name, options=volume.options, labels=volume.labels)


class _Build:
    """What one container's creation puts into its workspace."""

    def __init__(self, state: StateRoot, workspace: Path, draft: Container, missing: set[VolumeName]) -> None:
        self._state = state
        self._draft = draft
        self._missing = missing
        self._tree = workspace / "container"
        self._volumes = workspace / "volumes"
        self._fill_dir = workspace / "fills"
        self._fills: dict[Path, Path] = {}  # staged content -> directory of a volume that exists and is empty
        for directory in (self._tree, self._volumes, self._fill_dir):
            directory.mkdir()

    def check_inherited(self, store: Store) -> None:
        """Refuse volumes that went away after the mounts were resolved."""
        for mount in self._draft.mounts:
            if mount.name and mount.name not in self._missing and store.volume(mount.name) is None:
                raise NotFound(f"get {mount.name}: no such volume")

    def make_volumes(self) -> None:
        """Make the folders of new volumes."""
        for name in self._missing:
            make_volume_dir(self._volumes / name)

    def fill_volumes(self, image_rootfs: Path) -> None:
        """Copy the image's content into volumes that are empty (docker-semantics 3)."""
        root_fd = os.open(image_rootfs, os.O_PATH | os.O_DIRECTORY)
        try:
            for mount in self._draft.mounts:
                if mount.type is MountType.VOLUME:
                    self._fill(root_fd, mount)
        finally:
            os.close(root_fd)

    def _fill(self, root_fd: int, mount: MountPoint) -> None:
        if not mount.copy_up or (target := self._fill_target(mount)) is None:
            return
        with ExitStack() as stack:
            try:
                source_fd = open_directory(root_fd, os.fsencode(mount.destination))
            except FileNotFoundError:
                return
            except NotADirectoryError as exc:
                raise _over_file(mount) from exc
            stack.callback(os.close, source_fd)
            target_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            stack.callback(os.close, target_fd)
            copy_tree(source_fd, target_fd)

    def _fill_target(self, mount: MountPoint) -> Path | None:
        """Return the directory in the workspace that takes a volume's content; `None` if the volume has some."""
        new = mount.name in self._missing
        data = self._volumes / mount.name / "_data" if new else self._state.volume_data(mount.name)
        target = data / mount.subpath
        if not target.is_dir() or target.is_symlink() or os.listdir(target):
            return None
        if new:
            return target
        if target in self._fills.values():
            return None
        staged = self._fill_dir / str(len(self._fills))
        staged.mkdir()
        staged.chmod(0o755)
        self._fills[staged] = target
        return staged

    def make_tree(self, trees: PrivateTrees) -> None:
        """Make the private tree, with the working directory in it."""
        trees.prepare(self._tree, self._state.image_rootfs(self._draft.image))
        working_dir = self._draft.config.working_dir
        read_only = self._draft.host_config.readonly_rootfs
        if working_dir or read_only:
            root_fd = trees.open(self._tree, self._state.image_rootfs(self._draft.image))
            try:
                if working_dir:
                    make_directories(root_fd, os.fsencode(working_dir))
                if read_only:
                    make_places(root_fd)  # later they cannot be made any more
            finally:
                os.close(root_fd)

    def commit(self, change: Change, missing: Iterable[Volume]) -> Container:
        """Add everything to a change; return the container as it is stored."""
        container = msgspec.structs.replace(self._draft, serial=change.rows.next_serial())
        for volume in missing:
            change.rows.put_volume(volume)
            change.place(self._volumes / volume.name, self._state.volume_dir(volume.name))
        for staged, target in self._fills.items():
            change.merge(staged, target)
        change.rows.put_container(container)
        change.place(self._tree, self._state.container_dir(container.id))
        return container


def _over_file(mount: MountPoint) -> Internal:
    if mount.named:
        return Internal(f"source {mount.destination} is not directory")
    return Internal(f"cannot mount volume over existing file, file exists {mount.destination}")
