"""What the command line makes of `-v`, `--mount` and `--tmpfs` before it asks the daemon.

Only the client knows the working directory, so relative sources are resolved here; all other judgement is the daemon's
(`binds`, `mountcheck`). Messages are those of docker/cli 28.5 (opts/mount.go, internal/volumespec); the key `coherence`
of binds is our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from volfuse.core import paths
from volfuse.core.coherence import Coherence
from volfuse.core.csvfields import split_csv
from volfuse.core.units import ram_in_bytes
from volfuse.core.wire import BindOptions, Driver, Mount, TmpfsOptions, VolumeOptions
from volfuse.errors import InvalidSpec

__all__ = [
    "AnonymousVolume",
    "Bind",
    "VolumeFlags",
    "parse_mount_flag",
    "parse_tmpfs_flag",
    "parse_volume_flag",
    "parse_volume_flags",
]


@dataclass(frozen=True, slots=True)
class AnonymousVolume:
    """A `-v` without a source: a key of `Config.Volumes`, as it was written."""

    destination: str


@dataclass(frozen=True, slots=True)
class Bind:
    """A `-v` with a source: an entry of `HostConfig.Binds`."""

    spec: str


@dataclass(frozen=True, slots=True)
class VolumeFlags:
    """All `-v` of a command: what goes to `HostConfig.Binds` and what to `Config.Volumes`."""

    binds: tuple[str, ...]
    anonymous: tuple[str, ...]


def parse_volume_flags(texts: Iterable[str], cwd: str) -> VolumeFlags:
    """Parse all `-v` of a command; one that is repeated to the letter counts once (docker-semantics 8.12)."""
    parsed = [parse_volume_flag(text, cwd) for text in dict.fromkeys(texts)]
    return VolumeFlags(
        binds=tuple(flag.spec for flag in parsed if isinstance(flag, Bind)),
        anonymous=tuple(flag.destination for flag in parsed if isinstance(flag, AnonymousVolume)),
    )


def parse_volume_flag(text: str, cwd: str) -> AnonymousVolume | Bind:
    """Tell which kind of volume a `-v` asks for; a source that begins with a dot becomes absolute.

    Args:
        cwd: absolute path of the working directory.

    Raises:
        InvalidSpec: empty, an empty section, or more than three sections.
    """
    if not text:
        raise InvalidSpec("invalid empty volume spec")
    if len(text) <= 2 or len(_sections(text)) == 1:
        return AnonymousVolume(text)
    source, _, rest = text.partition(":")
    return Bind(f"{paths.absolute(source, cwd)}:{rest}" if source.startswith(".") else text)


def _sections(text: str) -> list[str]:
    """Split at colons, except those behind a single letter: it is taken for a Windows drive."""
    sections: list[str] = []
    pieces = text.split(":")
    while pieces:
        piece = pieces.pop(0)
        if len(piece) == 1 and piece.isalpha() and pieces:
            piece = f"{piece}:{pieces.pop(0)}"
        sections.append(piece)
    for number, section in enumerate(sections, 1):
        if not section:
            raise InvalidSpec(f"invalid spec: {text}: empty section between colons")
        if number == 3 and len(sections) > 3:
            raise InvalidSpec(f"invalid spec: {text}: too many colons")
    return sections


def parse_tmpfs_flag(text: str) -> tuple[str, str]:
    """Split a `--tmpfs` into destination and options; both are judged by the daemon."""
    destination, _, options = text.partition(":")
    return destination, options


def parse_mount_flag(text: str, cwd: str) -> Mount:
    """Return the mount that a `--mount` describes.

    Args:
        text: comma-separated `key=value` fields; a field with a comma in it stands in double quotes.
        cwd: absolute path of the working directory; sources that begin with a dot are relative to it.

    Raises:
        InvalidSpec: unknown key, bad value, or options of another type.
    """
    mount = Mount(type="volume")
    for field in split_csv(text):
        mount = _apply(mount, field, cwd)
    _check(mount)
    return mount


def _apply(mount: Mount, field: str, cwd: str) -> Mount:
    name, equals, value = field.partition("=")
    key = name.lower()
    if not equals:
        if key not in _FLAGS:
            raise InvalidSpec(f"invalid field '{field}' must be a key=value pair")
        value = "true"
    if key in ("source", "src"):
        return replace(mount, source=paths.absolute(value, cwd) if value.startswith(".") else value)
    setter = _KEYS.get(key)
    if setter is None:
        raise InvalidSpec(f"unexpected key '{key}' in '{field}'")
    try:
        return setter(mount, value)
    except ValueError as exc:
        raise InvalidSpec(f"invalid value for {key}: {value}{_HINTS.get(key, '')}") from exc


def _check(mount: Mount) -> None:
    if not mount.type:
        raise InvalidSpec("type is required")
    if not mount.target:
        raise InvalidSpec("target is required")
    if mount.type != "bind" and mount.bind_options is not None and mount.bind_options.coherence:
        raise InvalidSpec(
            "option 'coherence' requires mount type 'bind': for a volume it is "
            f"'volume-opt=coherence={mount.bind_options.coherence}'"
        )
    for family, options in (
        ("volume", mount.volume_options),
        ("image", mount.image_options),
        ("bind", mount.bind_options),
        ("tmpfs", mount.tmpfs_options),
    ):
        if options is not None and mount.type != family:
            raise InvalidSpec(f"cannot mix '{family}-*' options with mount type '{mount.type}'")
    _check_recursion(mount.bind_options or BindOptions(), mount.read_only)


def _check_recursion(options: BindOptions, read_only: bool) -> None:
    for value, wanted in (
        ("writable", options.read_only_non_recursive),
        ("readonly", options.read_only_force_recursive),
    ):
        if wanted and not read_only:
            raise InvalidSpec(f"option 'bind-recursive={value}' requires 'readonly' to be specified in conjunction")
    if options.read_only_force_recursive and options.propagation != "rprivate":
        raise InvalidSpec(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
        )


def _bind(mount: Mount, **changes: object) -> Mount:
    return replace(mount, bind_options=replace(mount.bind_options or BindOptions(), **changes))


def _volume(mount: Mount, **changes: object) -> Mount:
    return replace(mount, volume_options=replace(_volume_options(mount), **changes))


def _driver(mount: Mount, **changes: object) -> Mount:
    return _volume(mount, driver_config=replace(_volume_options(mount).driver_config or Driver(), **changes))


def _tmpfs(mount: Mount, **changes: object) -> Mount:
    return replace(mount, tmpfs_options=replace(mount.tmpfs_options or TmpfsOptions(), **changes))


def _volume_options(mount: Mount) -> VolumeOptions:
    return mount.volume_options or VolumeOptions(driver_config=Driver())


def _volume_label(mount: Mount, value: str) -> Mount:
    return _volume(mount, labels=_with_pair(_volume_options(mount).labels, value) or None)


def _volume_opt(mount: Mount, value: str) -> Mount:
    driver = _volume_options(mount).driver_config or Driver()
    return _driver(mount, options=_with_pair(driver.options, value))


def _with_pair(old: dict[str, str] | None, text: str) -> dict[str, str]:
    key, _, value = text.partition("=")
    return {**(old or {}), key: value} if key else dict(old or {})


def _bind_recursive(mount: Mount, value: str) -> Mount:
    match value:
        case "enabled":
            return mount
        case "disabled":
            return _bind(mount, non_recursive=True)
        case "writable":
            return _bind(mount, read_only_non_recursive=True)
        case "readonly":
            return _bind(mount, read_only_force_recursive=True)
    raise ValueError(value)


def _coherence(mount: Mount, value: str) -> Mount:
    if mount.bind_options is not None and mount.bind_options.coherence:
        raise InvalidSpec("option 'coherence' must be specified once")
    return _bind(mount, coherence=Coherence(value).value)


def _boolean(text: str) -> bool:
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(text)


def _size(text: str) -> int:
    try:
        return ram_in_bytes(text)
    except InvalidSpec as exc:
        raise ValueError(text) from exc


def _octal(text: str) -> int:
    if not text or text.strip("01234567") or int(text, 8) >= 1 << 32:
        raise ValueError(text)
    return int(text, 8)


_FLAGS = frozenset({"readonly", "ro", "volume-nocopy", "bind-nonrecursive", "bind-create-src"})
"""Keys that may stand without a value."""

_HINTS = {
    "bind-recursive": ' (must be "enabled", "disabled", "writable", or "readonly")',
    "coherence": ' (must be "strict", "lease", or "exact")',
}

_KEYS: dict[str, Callable[[Mount, str], Mount]] = {
    "type": lambda mount, value: replace(mount, type=value.lower()),
    "target": lambda mount, value: replace(mount, target=value),
    "dst": lambda mount, value: replace(mount, target=value),
    "destination": lambda mount, value: replace(mount, target=value),
    "readonly": lambda mount, value: replace(mount, read_only=_boolean(value)),
    "ro": lambda mount, value: replace(mount, read_only=_boolean(value)),
    "consistency": lambda mount, value: replace(mount, consistency=value.lower()),
    "bind-propagation": lambda mount, value: _bind(mount, propagation=value.lower()),
    "bind-nonrecursive": lambda mount, value: _bind(mount, non_recursive=_boolean(value)),
    "bind-recursive": _bind_recursive,
    "bind-create-src": lambda mount, value: _bind(mount, create_mountpoint=_boolean(value)),
    "coherence": _coherence,
    "volume-subpath": lambda mount, value: _volume(mount, subpath=value),
    "volume-nocopy": lambda mount, value: _volume(mount, no_copy=_boolean(value)),
    "volume-label": _volume_label,
    "volume-driver": lambda mount, value: _driver(mount, name=value),
    "volume-opt": _volume_opt,
    "image-subpath": lambda mount, value: replace(mount, image_options={"Subpath": value}),
    "tmpfs-size": lambda mount, value: _tmpfs(mount, size_bytes=_size(value)),
    "tmpfs-mode": lambda mount, value: _tmpfs(mount, mode=_octal(value)),
}
