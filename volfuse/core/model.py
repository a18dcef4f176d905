"""Images, volumes, containers and their mount points.

A container's mount points are resolved once, at create (`core.resolve`), and never change after. Which volume a
container refers to follows from them alone.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from volfuse.core.coherence import OPTION, Coherence, chosen_by
from volfuse.core.ids import ContainerId, ImageId, VolumeName
from volfuse.core.wire import Config, HostConfig, TmpfsOptions

__all__ = [
    "ANONYMOUS_LABEL",
    "Container",
    "History",
    "Image",
    "MountPoint",
    "MountType",
    "Network",
    "State",
    "Status",
    "Volume",
]

ANONYMOUS_LABEL = "com.docker.volume.anonymous"


class MountType(StrEnum):
    """Kinds of mount point."""

    VOLUME = "volume"
    BIND = "bind"
    TMPFS = "tmpfs"


class MountPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A destination of a container and what lies there.

    Attributes:
        destination: clean absolute path inside the container, as inspect shows it.
        source: host directory or file; empty for a tmpfs.
        name: volume name; empty for the other types.
        mode: the options as Docker echoes them (docker-semantics section 4).
        named: the request named the volume, so `rm -v` keeps it.
        copy_up: fill the volume from the image if it is empty.
        subpath: directory inside the volume that is mounted, relative; empty for all of it.
        coherence: what the mount, or else its volume, chose; None leaves it to the daemon's default.
        hidden: from `--tmpfs`: mounted but not listed in `Mounts`, and not lent.
    """

    type: MountType
    destination: str
    source: str = ""
    name: VolumeName = VolumeName("")
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    named: bool = False
    copy_up: bool = False
    subpath: str = ""
    create_source: bool = False
    non_recursive: bool = False
    tmpfs: TmpfsOptions | None = None
    hidden: bool = False
    coherence: Coherence | None = None


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """Storage of the `local` driver; `created_ns` is set once and stays."""

    name: VolumeName
    created_ns: int
    driver: str = "local"
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None

    @property
    def anonymous(self) -> bool:
        """Whether it came without a name (by its label, as `volume prune` sees it)."""
        return self.labels is not None and ANONYMOUS_LABEL in self.labels

    @property
    def coherence(self) -> Coherence | None:
        """What its options choose for mounts that do not choose themselves."""
        return chosen_by(self.options)

    @property
    def is_plain(self) -> bool:
        """Whether no option asks for a file system to be mounted on it: that would be no space of ours."""
        return not set(self.options or ()) - {OPTION}


class History(msgspec.Struct, frozen=True, kw_only=True):
    """One step of an image's making."""

    created_ns: int = 0
    created_by: str = ""
    comment: str = ""
    size: int = 0


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An unpacked file tree with a config.

    Attributes:
        size: bytes of its regular files.
        layers: digests of the layers it was unpacked from, lowest first.
    """

    id: ImageId
    created_ns: int
    config: Config
    size: int = 0
    layers: list[str] = []
    history: list[History] = []
    architecture: str = "amd64"
    os: str = "linux"
    comment: str = ""
    author: str = ""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """The name of a network that compose or a user made."""

    id: str
    name: str
    created_ns: int
    labels: dict[str, str] = {}
    options: dict[str, str] = {}


class Status(StrEnum):
    """Docker's states of a container."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where a container is in its life. Times are nanoseconds since the epoch, 0 for never.

    Attributes:
        stopped: the user asked for its last end.
        interrupted: it ended with the daemon.
    """

    status: Status = Status.CREATED
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_ns: int = 0
    finished_ns: int = 0
    oom_killed: bool = False
    stopped: bool = False
    interrupted: bool = False


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """A container: what was asked for, what it resolved to, and its state.

    Attributes:
        serial: small number, never used again; marks the inode numbers of its private tree.
        config: request and image merged.
        image_ref: the image as the request named it.
        networks: by the names of those that it is on, what the requests said of its endpoint.
    """

    id: ContainerId
    serial: int
    name: str
    created_ns: int
    image: ImageId
    image_ref: str
    config: Config
    host_config: HostConfig
    mounts: list[MountPoint]
    state: State = State()
    restart_count: int = 0
    networks: dict[str, dict[str, Any]] = {}

    @property
    def volumes(self) -> frozenset[VolumeName]:
        """Names of the volumes it refers to."""
        return frozenset(m.name for m in self.mounts if m.name)
