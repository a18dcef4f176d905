"""From what a request asks for to the mount points of a container, and the volumes that they need.

For one destination the later of these wins: mounts of lenders (the last lender first), then binds and `--mount`s, which
may not collide with each other; an anonymous volume comes only where nothing else is; a `--tmpfs` hides all. Nothing is
made here: volumes are asked for by the engine.

Source: docker-semantics 2.5, 2.6, 4; moby daemon/volumes.go (registerMountPoints), daemon/create_unix.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from volfuse.core import paths
from volfuse.core.binds import HostPath, VolumeBind, parse_bind
from volfuse.core.coherence import Coherence, chosen_by
from volfuse.core.ids import VolumeName, check_volume_name
from volfuse.core.model import Container, MountPoint, MountType
from volfuse.core.mountcheck import check_mounts, check_target
from volfuse.core.ports import Ids
from volfuse.core.tmpfs import is_read_only, parse_tmpfs_options
from volfuse.core.volumesfrom import parse_volumes_from
from volfuse.core.wire import BindOptions, Config, Driver, HostConfig, Mount, TmpfsOptions, VolumeOptions
from volfuse.errors import InvalidSpec, NotFound

__all__ = ["Resolution", "VolumeRequest", "resolve"]

_LOCAL = "local"
_DRIVER_IGNORED = (
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. "
    "Use '--mount type=volume,volume-driver=...' instead"
)


@dataclass(frozen=True, slots=True)
class VolumeRequest:
    """A volume that a container needs: taken as it is if it exists, created otherwise.

    Attributes:
        driver: as asked for; empty for the default.
        labels: as asked for; the label of anonymous volumes is not among them.
    """

    name: VolumeName
    driver: str = ""
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a container gets.

    Attributes:
        mounts: one for each destination, sorted by it; those of `--tmpfs` are hidden.
        volumes: one for each name; volumes of lenders are not among them, they exist.
        config_volumes: `Config.Volumes` as inspect shows it.
    """

    mounts: tuple[MountPoint, ...]
    volumes: tuple[VolumeRequest, ...] = ()
    warnings: tuple[str, ...] = ()
    config_volumes: dict[str, dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """A mount point, and the volume that has to exist for it."""

    mount: MountPoint
    volume: VolumeRequest | None = None


def resolve(
    config: Config,
    host: HostConfig,
    *,
    lender: Callable[[str], Container],
    ids: Ids,
    volume_path: Callable[[VolumeName], str],
    source_exists: Callable[[str], bool],
) -> Resolution:
    """Resolve the mounts of a new container.

    Args:
        config: the request's, already merged with the image's.
        lender: finds a container by id, unique id prefix or name; raises `NotFound`.
        volume_path: source directory of a volume, whether it exists or not.
        source_exists: tells whether a path exists on the host.

    Raises:
        InvalidSpec: a spec that is not valid, two specs for one destination, or an unknown lender.
        Unsupported: a mount of type `image`.
    """
    check_mounts(host.mounts or (), source_exists=source_exists)
    hidden = _tmpfs_mounts(host.tmpfs or {})
    make = _Maker(ids, volume_path, host.volume_driver)
    found = {m.destination: _Entry(m) for m in _borrowed(host.volumes_from or (), lender)}
    found |= _requested(host, make)
    for destination in sorted({paths.clean_destination(key) for key in config.volumes or {}}):
        if destination not in found and destination not in (host.tmpfs or {}):
            found[destination] = make.anonymous(destination)
    found |= {mount.destination: _Entry(mount) for mount in hidden}
    entries = [found[destination] for destination in sorted(found)]
    return Resolution(
        mounts=tuple(entry.mount for entry in entries),
        volumes=_first_of_each_name(found.values()),
        warnings=_warnings(host),
        config_volumes=config.volumes,
    )


def _tmpfs_mounts(tmpfs: Mapping[str, str]) -> list[MountPoint]:
    for destination in tmpfs:
        check_target(destination)
    return [_tmpfs_mount(destination, parse_tmpfs_options(text)) for destination, text in tmpfs.items()]


def _tmpfs_mount(destination: str, options: TmpfsOptions) -> MountPoint:
    return MountPoint(
        type=MountType.TMPFS,
        destination=paths.clean_destination(destination),
        rw=not is_read_only(options),
        tmpfs=options,
        hidden=True,
    )


def _borrowed(specs: Iterable[str], lender: Callable[[str], Container]) -> Iterator[MountPoint]:
    """Yield the mounts of all lenders in order; of two for one destination the later counts."""
    for spec in specs:
        wanted = parse_volumes_from(spec)
        try:
            container = lender(wanted.container)
        except NotFound as exc:
            raise InvalidSpec(str(exc)) from exc
        for mount in container.mounts:
            if not mount.hidden:
                yield _lent(mount, read_only=wanted.read_only)


def _lent(mount: MountPoint, *, read_only: bool) -> MountPoint:
    """Return a lender's mount as the borrower has it: read-only stays so, and nothing is filled from the image.

    A missing host directory is made even where the lender refused it (moby copies no SkipMountpointCreation).
    """
    return replace(
        mount,
        mode="",
        rw=mount.rw and not read_only,
        copy_up=False,
        create_source=mount.type is MountType.BIND,
    )


def _requested(host: HostConfig, make: _Maker) -> dict[str, _Entry]:
    """Return what binds and `--mount`s ask for, by destination."""
    entries: dict[str, _Entry] = {}
    for text in host.binds or ():
        bind = parse_bind(text)
        if bind.destination in entries or bind.destination in (host.tmpfs or {}):
            raise InvalidSpec(f"Duplicate mount point: {bind.destination}")
        entries[bind.destination] = make.from_bind(bind)
    for mount in host.mounts or ():
        entry = make.from_mount(mount)
        if entry.mount.destination in entries:
            raise InvalidSpec(f"Duplicate mount point: {mount.target}")
        entries[entry.mount.destination] = entry
    return entries


class _Maker:
    """Makes mount points of a request, naming its anonymous volumes."""

    def __init__(self, ids: Ids, volume_path: Callable[[VolumeName], str], driver: str) -> None:
        self._ids = ids
        self._volume_path = volume_path
        self._driver = driver

    def anonymous(self, destination: str) -> _Entry:
        """Return an anonymous volume for a key of `Config.Volumes`."""
        request = self._request("", self._driver)
        return self._volume_entry(request, destination=destination, copy_up=True)

    def from_bind(self, bind: HostPath | VolumeBind) -> _Entry:
        """Return what a bind string asks for."""
        mode = bind.mode
        if isinstance(bind, HostPath):
            mount = MountPoint(
                type=MountType.BIND,
                destination=bind.destination,
                source=bind.source,
                mode=mode.text,
                rw=not mode.read_only,
                propagation=mode.propagation or "rprivate",
                create_source=True,
                coherence=mode.coherence,
            )
            return _Entry(mount)
        return self._volume_entry(
            self._request(bind.name, self._driver),
            destination=bind.destination,
            mode=mode.text or "z",
            rw=not mode.read_only,
            copy_up=not mode.no_copy,
            coherence=mode.coherence,
        )

    def from_mount(self, mount: Mount) -> _Entry:
        """Return what an entry of `HostConfig.Mounts` asks for; it has been checked."""
        match mount.type:
            case MountType.VOLUME:
                return self._from_volume_mount(mount)
            case MountType.BIND:
                return _Entry(_bind_mount(mount))
        return _Entry(
            MountPoint(
                type=MountType.TMPFS,
                destination=paths.clean_destination(mount.target),
                rw=not mount.read_only,
                tmpfs=mount.tmpfs_options or TmpfsOptions(),
            )
        )

    def _from_volume_mount(self, mount: Mount) -> _Entry:
        options = mount.volume_options or VolumeOptions()
        driver = options.driver_config or Driver()
        return self._volume_entry(
            self._request(mount.source, driver.name, driver.options or None, options.labels or None),
            destination=paths.clean_destination(mount.target),
            mode="z",
            rw=not mount.read_only,
            copy_up=not options.no_copy,
            subpath=options.subpath,
            coherence=chosen_by(driver.options),
        )

    def _request(
        self, name: str, driver: str, options: dict[str, str] | None = None, labels: dict[str, str] | None = None
    ) -> VolumeRequest:
        return VolumeRequest(
            name=_checked(name or self._ids.new_id()),
            driver=driver,
            options=options,
            labels=labels,
            anonymous=not name,
        )

    def _volume_entry(
        self,
        request: VolumeRequest,
        *,
        destination: str,
        copy_up: bool,
        mode: str = "",
        rw: bool = True,
        subpath: str = "",
        coherence: Coherence | None = None,
    ) -> _Entry:
        mount = MountPoint(
            type=MountType.VOLUME,
            source=self._volume_path(request.name),
            name=request.name,
            driver=request.driver or _LOCAL,
            destination=destination,
            mode=mode,
            rw=rw,
            named=not request.anonymous,
            copy_up=copy_up,
            subpath=subpath,
            coherence=coherence,
        )
        return _Entry(mount, request)


def _bind_mount(mount: Mount) -> MountPoint:
    options = mount.bind_options or BindOptions()
    return MountPoint(
        type=MountType.BIND,
        destination=paths.clean_destination(mount.target),
        source=paths.clean(mount.source),
        rw=not mount.read_only,
        propagation=options.propagation or "rprivate",
        create_source=options.create_mountpoint,
        non_recursive=options.non_recursive,
        coherence=Coherence(options.coherence) if options.coherence else None,
    )


def _checked(name: str) -> VolumeName:
    try:
        return check_volume_name(name)
    except InvalidSpec as exc:
        raise InvalidSpec(f"create {name}: {exc}") from exc


def _first_of_each_name(entries: Iterable[_Entry]) -> tuple[VolumeRequest, ...]:
    """Return the volumes to exist; of two requests for one volume the first makes it."""
    requests: dict[VolumeName, VolumeRequest] = {}
    for entry in entries:
        if entry.volume is not None:
            requests.setdefault(entry.volume.name, entry.volume)
    return tuple(requests.values())


def _warnings(host: HostConfig) -> tuple[str, ...]:
    """Warn of a driver that does not reach the volumes of `--mount` (API 1.48, handleVolumeDriverBC)."""
    ignored = any(
        mount.type == MountType.VOLUME and not (mount.volume_options and _driver_name(mount.volume_options))
        for mount in host.mounts or ()
    )
    return (_DRIVER_IGNORED,) if host.volume_driver and ignored else ()


def _driver_name(options: VolumeOptions) -> str:
    return options.driver_config.name if options.driver_config else ""
