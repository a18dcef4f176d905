"""Validity of one entry of `HostConfig.Mounts`, with Docker's checks in Docker's order.

Source: docker-semantics 2.3; moby 28.5 volume/mounts/linux_parser.go, validateMountConfigImpl; for the checks that come
before, api/server/router/container.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from volfuse.core import paths, tmpfs
from volfuse.core.coherence import chosen_by, parse_coherence
from volfuse.core.modes import PROPAGATIONS
from volfuse.core.wire import BindOptions, Mount, VolumeOptions
from volfuse.errors import InvalidSpec, Unsupported

__all__ = ["check_mount", "check_mounts", "check_target"]

_T = TypeVar("_T")

_ANONYMOUS_SUBPATH = "must not set Subpath when using anonymous volumes"
_ANONYMOUS_READ_ONLY = "must not set ReadOnly mode when using anonymous volumes"
_BAD_SUBPATH = "subpath must be a relative path within the volume"


def check_mounts(mounts: Sequence[Mount], *, source_exists: Callable[[str], bool]) -> None:
    """Check all mounts of a request.

    Args:
        source_exists: tells whether a path exists on the host.

    Raises:
        InvalidSpec: the first mount that is not valid.
        Unsupported: the mount is of type `image`.
    """
    for mount in mounts:
        _check_router(mount)
    for mount in mounts:
        check_mount(mount, source_exists=source_exists)
        if mount.type == "image":
            raise Unsupported(f'invalid mount config for type "image": {mount.target}: volfuse does not mount images')


def check_mount(mount: Mount, *, source_exists: Callable[[str], bool]) -> None:
    """Check a mount as the daemon does.

    Raises:
        InvalidSpec: it is not valid.
    """
    problem = _target_problem(mount) or _type_problem(mount, source_exists)
    if problem:
        raise InvalidSpec(f'invalid mount config for type "{mount.type}": {problem}')


def check_target(target: str) -> None:
    """Check the destination of a `--tmpfs`.

    Raises:
        InvalidSpec: it is `/` or relative.
    """
    problem = _root_problem(target) or _relative_problem(target)
    if problem:
        raise InvalidSpec(problem)


def _check_router(mount: Mount) -> None:
    for name, options, owner in (
        ("VolumeOptions", mount.volume_options, "volume"),
        ("BindOptions", mount.bind_options, "bind"),
        ("TmpfsOptions", mount.tmpfs_options, "tmpfs"),
    ):
        if options is not None and mount.type != owner:
            raise InvalidSpec(f'{name} must not be specified on mount type "{mount.type}"')


def _target_problem(mount: Mount) -> str:
    if not mount.target:
        return "field Target must not be empty"
    return _root_problem(mount.target) or _relative_problem(mount.target)


def _root_problem(path: str) -> str:
    return "invalid specification: destination can't be '/'" if paths.is_root(path) else ""


def _relative_problem(path: str) -> str:
    return "" if paths.is_absolute(path) else f"invalid mount path: '{path}' mount path must be absolute"


def _type_problem(mount: Mount, source_exists: Callable[[str], bool]) -> str:
    match mount.type:
        case "bind":
            return _bind_problem(mount) or _bind_source_problem(mount, source_exists)
        case "volume":
            return _volume_problem(mount)
        case "tmpfs":
            return _tmpfs_problem(mount)
        case "image":
            return _image_problem(mount)
    return "mount type unknown"


def _bind_problem(mount: Mount) -> str:
    options = mount.bind_options or BindOptions()
    if not mount.source:
        return "field Source must not be empty"
    if options.propagation and options.propagation not in PROPAGATIONS:
        return f"invalid propagation mode: {options.propagation}"
    extra = _extra_problem(VolumeOptions=mount.volume_options, ImageOptions=mount.image_options)
    return extra or (_problem_of(parse_coherence, options.coherence) if options.coherence else "")


def _bind_source_problem(mount: Mount, source_exists: Callable[[str], bool]) -> str:
    problem = _relative_problem(mount.source)
    created = mount.bind_options is not None and mount.bind_options.create_mountpoint
    if problem or created or source_exists(mount.source):
        return problem
    return f"bind source path does not exist: {mount.source}"


def _volume_problem(mount: Mount) -> str:
    options = mount.volume_options or VolumeOptions()
    subpath = options.subpath
    extra = _extra_problem(BindOptions=mount.bind_options, ImageOptions=mount.image_options)
    if extra:
        return extra
    if subpath and not mount.source:
        return _ANONYMOUS_SUBPATH
    if subpath and not paths.is_local(subpath):
        return _BAD_SUBPATH
    if mount.read_only and not mount.source:
        return _ANONYMOUS_READ_ONLY
    return _problem_of(chosen_by, options.driver_config.options) if options.driver_config else ""


def _tmpfs_problem(mount: Mount) -> str:
    extra = _extra_problem(BindOptions=mount.bind_options, ImageOptions=mount.image_options)
    if extra:
        return extra
    if mount.source:
        return "field Source must not be specified"
    return tmpfs.mount_options_problem(mount.tmpfs_options)


def _image_problem(mount: Mount) -> str:
    extra = _extra_problem(BindOptions=mount.bind_options, VolumeOptions=mount.volume_options)
    if extra:
        return extra
    if not mount.source:
        return "field Source must not be empty"
    subpath = (mount.image_options or {}).get("Subpath", "")
    return _BAD_SUBPATH if subpath and not paths.is_local(subpath) else ""


def _problem_of(check: Callable[[_T], object], value: _T) -> str:
    try:
        check(value)
    except InvalidSpec as exc:
        return str(exc)
    return ""


def _extra_problem(**options: object) -> str:
    return next((f"field {name} must not be specified" for name, value in options.items() if value is not None), "")
