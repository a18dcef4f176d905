"""The daemon's grammar of a bind string (`HostConfig.Binds`): `[SOURCE:]DESTINATION[:MODE]`.

An absolute source is a host path, any other a volume's name. Nothing is looked up: a host path need not exist, and
whether a name is valid the volume's driver says.

Source: docker-semantics 2.2; moby daemon/volume/mounts/linux_parser.go, ParseMountRaw.
"""

from __future__ import annotations

from dataclasses import dataclass

from volfuse.core import paths
from volfuse.core.modes import NO_MODE, Mode, is_valid_mode, parse_mode
from volfuse.core.mountcheck import check_mount
from volfuse.core.wire import BindOptions, Mount, VolumeOptions
from volfuse.errors import InvalidSpec

__all__ = ["Bind", "HostPath", "VolumeBind", "parse_bind"]


@dataclass(frozen=True, slots=True)
class HostPath:
    """A host directory or file at a destination; both cleaned."""

    source: str
    destination: str
    mode: Mode = NO_MODE

    def __str__(self) -> str:
        return _join(self.source, self.destination, self.mode.text)


@dataclass(frozen=True, slots=True)
class VolumeBind:
    """A volume at a cleaned destination; an empty name asks for an anonymous one."""

    name: str
    destination: str
    mode: Mode = NO_MODE

    def __str__(self) -> str:
        return _join(self.name, self.destination, self.mode.text)


Bind = HostPath | VolumeBind


def parse_bind(text: str) -> Bind:
    """Return the value of a bind string.

    Raises:
        InvalidSpec: the pieces, the mode, or their combination are not valid.
    """
    source, target, mode = _split(text)
    _check_mount(text, source, target, mode)
    destination = paths.clean_destination(target)
    if source.startswith("/"):
        return HostPath(paths.clean(source), destination, mode)
    return VolumeBind(source, destination, mode)


def _split(text: str) -> tuple[str, str, Mode]:
    match text.split(":", 3):
        case ["", *_]:
            pass
        case [target]:
            return "", target, NO_MODE
        case [source, target] if not is_valid_mode(target):
            return source, target, NO_MODE
        case [source, target, mode]:
            return source, target, parse_mode(mode)
    raise InvalidSpec(_invalid(text))


def _check_mount(text: str, source: str, target: str, mode: Mode) -> None:
    """Check the combination as that of an equal `Mount`: this is where propagation on a volume is refused."""
    mount = Mount(
        type="bind" if source.startswith("/") else "volume",
        source=source,
        target=target,
        read_only=mode.read_only,
        volume_options=VolumeOptions(no_copy=True) if mode.no_copy else None,
        bind_options=BindOptions(propagation=mode.propagation) if mode.propagation else None,
    )
    try:
        check_mount(mount, source_exists=lambda _: True)
    except InvalidSpec as exc:
        raise InvalidSpec(f"{_invalid(text)}: {exc}") from exc


def _invalid(text: str) -> str:
    return f"invalid volume specification: '{text}'"


def _join(*pieces: str) -> str:
    return ":".join(piece for piece in pieces if piece)
