"""The view plan of a container: its destinations and the sources behind them.

Made by the engine from a container's mount points, with the links of the image already followed; read by `fs`. Pure
values: opening the sources is the business of `fs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from volfuse.core.coherence import Coherence
from volfuse.core.feed import Through

__all__ = ["PlannedMount", "Sharing", "Telling", "ViewPlan"]


class Sharing(Enum):
    """Who else may change what lies in a source."""

    SHARED = "shared"
    """A volume or a bind: other views and the host."""
    PRIVATE = "private"
    """The container's own tree or tmpfs: this view only."""


class Telling(Enum):
    """Whether watchers (inotify) in a view are told what is done through other views and on the host."""

    ON = "on"
    """Always, also if nobody seems to watch: each change is repeated in all directories that the view knows."""
    OFF = "off"
    AUTO = "auto"
    """Where somebody watches."""


@dataclass(frozen=True, slots=True)
class PlannedMount:
    """One mount of a view.

    Attributes:
        destination: components of the path in the view; empty for the private tree at its root.
        source: host path of the directory or file, absolute.
        source_fd: descriptor of the source (O_PATH or directory) that the plan's receiver owns and closes, or -1 to
            open `source`. Detached mounts have no path.
        readonly: writing below gives EROFS.
        inode_tag: distinguishes inode numbers of a source that has its own number space; 0 leaves them as they are
            where the source lies on the state root's file system.
        label: what `views` shows: volume name, bind path, `rootfs`, `tmpfs`.
        volume: name of the volume whose data directory or a directory of it (`below`) the source is; empty for others.
        coherence: what the kernel may keep of a shared source.
    """

    destination: tuple[bytes, ...]
    source: bytes
    source_fd: int = -1
    readonly: bool = False
    sharing: Sharing = Sharing.SHARED
    inode_tag: int = 0
    label: str = ""
    volume: str = ""
    below: bytes = b""
    coherence: Coherence = Coherence.STRICT

    def through(self, container: str) -> Through:
        """Return what changes made through this mount are known by."""
        source = self.source.removesuffix(b"/" + self.below) if self.below else self.source
        return Through(container, self.volume, source, self.below)


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """All mounts of one container's view, the private tree first."""

    container: str
    name: str
    mounts: tuple[PlannedMount, ...]
    telling: Telling = Telling.AUTO
