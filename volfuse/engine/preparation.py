"""What must be there before a container's program starts: bind sources, mount point directories, files below /etc.

Works on sources and on the container's own folder, never through the view that the daemon itself serves.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from volfuse.core.hostchecks import OWN_NETWORKS
from volfuse.core.model import Container, MountPoint, MountType, Network
from volfuse.core.mountcheck import check_target
from volfuse.core.runplan import OwnMount
from volfuse.engine.rootpath import make_directories
from volfuse.engine.runplans import hostname_of
from volfuse.engine.state import StateRoot
from volfuse.errors import Internal, InvalidSpec, NotFound
from volfuse.fs.source import MissingSource
from volfuse.fs.view import Mount

__all__ = [
    "check_destinations",
    "check_kinds",
    "check_networks",
    "etc_files",
    "make_mount_points",
    "make_sources",
    "own_mounts",
]

_ETC = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")

_HOSTS = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


def check_destinations(container: Container) -> None:
    """Refuse destinations that pass create and cannot be mounted: `rel` and `/` (docker-semantics 8.13).

    Raises:
        InvalidSpec: as Docker words it.
    """
    for mount in container.mounts:
        check_target(mount.destination)


def make_sources(container: Container) -> bool:
    """Make the host directories that `-v` names and that are missing; tell whether there were any.

    Raises:
        InvalidSpec: a source that only exists by `--mount` has gone.
    """
    made = False
    for mount in container.mounts:
        if mount.type is not MountType.BIND or os.path.lexists(mount.source):
            continue
        if not mount.create_source:
            raise InvalidSpec(f'invalid mount config for type "bind": bind source path does not exist: {mount.source}')
        Path(mount.source).mkdir(mode=0o755, parents=True, exist_ok=True)
        made = True
    return made


def make_mount_points(container: Container) -> None:
    """Make the directories, or files, that a mount inside another covers there (docker-semantics 8.4).

    Raises:
        Internal: the outer mount is read-only and lacks it, or something else is there.
    """
    for mount in sorted(container.mounts, key=lambda m: m.destination.count("/")):
        outer = _around(mount, container.mounts)
        if outer is not None and outer.type is not MountType.TMPFS:
            _make_mount_point(mount, outer)


def _around(mount: MountPoint, mounts: Iterable[MountPoint]) -> MountPoint | None:
    """Return the innermost other mount that holds a mount's destination."""
    holders = [m for m in mounts if m is not mount and mount.destination.startswith(m.destination.rstrip("/") + "/")]
    return max(holders, key=lambda m: len(m.destination), default=None)


def _make_mount_point(mount: MountPoint, outer: MountPoint) -> None:
    below = mount.destination[len(outer.destination.rstrip("/")) + 1 :]
    source = os.path.join(outer.source, outer.subpath)
    if os.path.lexists(os.path.join(source, below)):
        return
    if not outer.rw:
        raise Internal(
            f'error mounting "{mount.source or "tmpfs"}" to rootfs at "{mount.destination}": '
            f"create mountpoint for {mount.destination} mount: read-only file system"
        )
    root_fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        is_file = mount.type is MountType.BIND and not os.path.isdir(mount.source)
        parent, name = os.path.split(below)
        make_directories(root_fd, os.fsencode(parent if is_file else below))
        if is_file:
            _make_file(root_fd, parent, name)
    finally:
        os.close(root_fd)


def _make_file(root_fd: int, parent: str, name: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        os.close(os.open(os.path.join(parent or ".", name), flags, 0o755, dir_fd=root_fd))
    except OSError as exc:
        if exc.errno != errno.EEXIST:
            raise


def check_networks(container: Container, networks: Iterable[Network]) -> None:
    """Refuse a network that there is not.

    Raises:
        NotFound: as Docker words it.
    """
    known = {network.name for network in networks}
    mode = container.host_config.network_mode
    for name in (mode, *container.networks):
        if name not in OWN_NETWORKS and name not in known:
            raise NotFound(f"network {name} not found")


def check_kinds(mounts: Sequence[Mount]) -> None:
    """Refuse a directory over a file of the private tree, and the other way round.

    Raises:
        Internal: with runc's words.
    """
    root = next(m for m in mounts if not m.destination)
    if isinstance(root.source, MissingSource):
        raise Internal(f"the files of the container are missing: {root.source.reason}")
    for mount in mounts:
        if not mount.destination or isinstance(mount.source, MissingSource):
            continue
        try:
            there = os.stat(mount.destination, dir_fd=root.source.fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):  # inside another mount, or to be shown by the view
            continue
        is_directory = stat.S_ISDIR(os.fstat(mount.source.fd).st_mode)
        if is_directory != stat.S_ISDIR(there.st_mode):
            raise Internal(
                f'error mounting "{mount.label}" to rootfs at "/{os.fsdecode(mount.destination)}": not a directory: '
                "Are you trying to mount a directory onto a file (or vice-versa)? "
                "Check if the specified host path exists and is the expected type"
            )


def own_mounts(mounts: Iterable[Mount]) -> list[OwnMount]:
    """Return the mounts of a view, without its private tree, for the sandbox."""
    return [OwnMount("/" + os.fsdecode(m.destination), m.readonly) for m in mounts if m.destination]


def etc_files(state: StateRoot, container: Container) -> dict[str, str]:
    """Write hostname, hosts and resolv.conf into the container's folder; return destination to path.

    Where the user mounted something at or above the destination, nothing is put there.
    """
    directory = state.container_dir(container.id)
    texts = {
        "/etc/hostname": hostname_of(container) + "\n",
        "/etc/hosts": _hosts(container),
        "/etc/resolv.conf": _resolv_conf(container),
    }
    taken = {m.destination for m in container.mounts}
    files = {}
    for destination in _ETC:
        if destination in taken or "/etc" in taken:
            continue
        path = directory / os.path.basename(destination)
        path.write_text(texts[destination])
        path.chmod(0o644)
        files[destination] = str(path)
    return files


def _hosts(container: Container) -> str:
    own = f"127.0.0.1\t{hostname_of(container)}\n"
    lines = [f"{ip}\t{name}\n" for name, _, ip in (e.partition(":") for e in container.host_config.extra_hosts or ())]
    if container.host_config.network_mode == "host":
        return _host_file("/etc/hosts") + "".join(lines)
    return _HOSTS + own + "".join(lines)


def _resolv_conf(container: Container) -> str:
    """Return what was asked for, and with the host's network the host's lines of the kinds that were not."""
    host = container.host_config
    asked = {
        "nameserver": [f"nameserver {address}" for address in host.dns or ()],
        "search": [f"search {' '.join(host.dns_search)}"] if host.dns_search else [],
        "options": [f"options {' '.join(host.dns_options)}"] if host.dns_options else [],
    }
    text = _host_file("/etc/resolv.conf") if host.network_mode == "host" else ""
    lines = [line for line in text.splitlines() if not asked.get(line.split(" ", 1)[0])]
    return "".join(f"{line}\n" for line in [*lines, *(line for kind in asked.values() for line in kind)])


def _host_file(path: str) -> str:
    try:
        return Path(path).read_text(errors="surrogateescape")
    except OSError:  # a host without one
        return ""
