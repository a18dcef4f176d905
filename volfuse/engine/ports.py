"""What the use cases need of storage: the state store, trees on disk, and the mounts of views.

`store` and `images` implement these; the daemon puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

from volfuse.core.feed import Selection
from volfuse.core.ids import ContainerId, ImageId, VolumeName
from volfuse.core.model import Container, Image, Network, Volume
from volfuse.core.resources import Controller
from volfuse.core.runplan import ExecPlan, RunPlan
from volfuse.core.usage import Usage
from volfuse.core.wire import Config, Resources, TmpfsOptions
from volfuse.engine.streams import Input, Output

__all__ = [
    "BoundMount",
    "BuiltImage",
    "Cgroups",
    "HostListener",
    "ImageBuilder",
    "Move",
    "MoveKind",
    "PrivateTrees",
    "Process",
    "Runner",
    "Store",
    "Transaction",
    "ViewBinder",
]


class HostListener(Protocol):
    """Hears what the host does to sources, while somebody wants to know."""

    def follow(self, wanted: Selection) -> None:
        """Begin to listen where a volume or all are wanted; returns when it is so, or after a moment."""
        ...

    def unfollow(self, wanted: Selection) -> None:
        """Take `follow` back."""
        ...

    def refusals(self) -> list[str]:
        """Return which sources are only looked at now and then, and why."""
        ...


class MoveKind(StrEnum):
    """What is owed to the file system after a commit."""

    RENAME = "rename"
    """Rename `source` to `target`, which does not exist."""
    MERGE = "merge"
    """Move each entry of the directory `source` into the directory `target`, then the directory's own metadata."""


@dataclass(frozen=True, slots=True)
class Move:
    """A step on directories that a committed transaction still owes. Paths are relative to the state root."""

    kind: MoveKind
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class BoundMount:
    """A view that the user mounted somewhere else (`container` is `None`: the directory of all views)."""

    directory: str
    container: ContainerId | None
    read_only: bool = False


class Transaction(Protocol):
    """Changes that come into force together."""

    def next_serial(self) -> int:
        """Return a number that no container has had."""
        ...

    def put_image(self, image: Image) -> None: ...
    def delete_image(self, image: ImageId) -> None: ...
    def put_tag(self, reference: str, image: ImageId) -> None: ...
    def delete_tag(self, reference: str) -> None: ...
    def put_volume(self, volume: Volume) -> None: ...
    def delete_volume(self, name: VolumeName) -> None: ...
    def put_container(self, container: Container) -> None: ...
    def delete_container(self, container: ContainerId) -> None: ...
    def put_network(self, network: Network) -> None: ...
    def delete_network(self, network: str) -> None: ...
    def put_bound(self, bound: BoundMount) -> None: ...
    def delete_bound(self, directory: str) -> None: ...
    def owe(self, move: Move) -> None:
        """Journal a move; it is done after the commit, at the latest by the next start."""
        ...


class Store(Protocol):
    """The state: images, volumes, containers and what refers to what. Safe to call from any thread."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction: committed at the end of the block, rolled back by an exception."""
        ...

    def images(self) -> list[Image]: ...
    def image(self, image: ImageId) -> Image | None: ...
    def tags(self) -> dict[str, ImageId]:
        """Return all tags, by their reference."""
        ...

    def volumes(self) -> list[Volume]: ...
    def volume(self, name: VolumeName) -> Volume | None: ...
    def users(self, name: VolumeName) -> list[ContainerId]:
        """Return the containers that refer to a volume."""
        ...

    def containers(self) -> list[Container]: ...
    def container(self, container: ContainerId) -> Container | None: ...
    def container_named(self, name: str) -> Container | None: ...
    def containers_by_prefix(self, prefix: str) -> list[Container]:
        """Return the containers whose id begins so (two are enough to know that it is ambiguous)."""
        ...

    def networks(self) -> list[Network]:
        """Return all networks by name."""
        ...

    def bound(self) -> list[BoundMount]: ...
    def owed(self) -> list[Move]:
        """Return the journalled moves in the order in which they were owed."""
        ...

    def settle(self, moves: Sequence[Move]) -> None:
        """Strike done moves off the journal."""
        ...


class PrivateTrees(Protocol):
    """Private trees of containers, on top of the trees of images."""

    def prepare(self, container_dir: Path, image_rootfs: Path) -> None:
        """Make what a container's private tree needs below `container_dir`, an existing directory."""
        ...

    def open(self, container_dir: Path, image_rootfs: Path) -> int:
        """Return a descriptor of the tree's root; the caller owns it, and the tree is mounted while it is open."""
        ...

    def open_tmpfs(self, options: TmpfsOptions) -> int:
        """Return a descriptor of a new tmpfs' root.

        Raises:
            Unavailable: the kernel does not let us mount one.
        """
        ...


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image whose tree lies in staging, and the references that its archive gives it."""

    image: Image
    rootfs_staging: Path
    references: tuple[str, ...] = ()


class ImageBuilder(Protocol):
    """Unpacking of archives. The directories returned lie below `staging`, which the caller removes."""

    def import_tar(
        self,
        stream: BinaryIO,
        staging: Path,
        *,
        changes: Sequence[str],
        message: str,
        created_ns: int,
        config: Config | None = None,
        author: str = "",
        created_by: str = "",
    ) -> BuiltImage:
        """Unpack the tar of one file tree; the changes are applied to `config`, or to an empty one."""
        ...

    def load(self, stream: BinaryIO, staging: Path, progress: Callable[[int], None]) -> Iterator[BuiltImage]:
        """Unpack the images of a `docker save` or OCI archive; `progress` is told the bytes read so far."""
        ...


class ViewBinder(Protocol):
    """Mounting a view at a directory of the user's choice."""

    def bind(self, view: str, directory: str, *, read_only: bool) -> None:
        """Mount the view called `view` (empty: all of them) at a directory.

        Raises:
            Unsupported: this user may not.
            OSError: the system refuses.
        """
        ...

    def unbind(self, directory: str) -> None:
        """Take such a mount away, also when it is in use or dead; nothing happens where none is."""
        ...


class Process(Protocol):
    """A program that was started."""

    @property
    def pid(self) -> int:
        """Its process id on the host."""
        ...

    def signal(self, number: int) -> bool:
        """Send a signal; tell whether the process was still there."""
        ...

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal the size; nothing happens where it has none."""
        ...

    def freeze(self) -> None:
        """Stop it and all other processes of its container where they are.

        Raises:
            Unsupported: no cgroup freezer here.
        """
        ...

    def thaw(self) -> None:
        """Let them go on."""
        ...

    def limit(self, limits: Resources) -> None:
        """Change the limits of its container; what is not limited stays as it is.

        Raises:
            Internal: the kernel refuses one.
        """
        ...

    def usage(self) -> Usage:
        """Return what the programs of its container use."""
        ...

    def lacked_memory(self) -> bool:
        """Tell whether the kernel has killed a process of its container for lack of memory."""
        ...

    def clear(self) -> None:
        """Take away what the container leaves on the machine, after its end has been noted."""
        ...

    def top(self, ps_arguments: str) -> tuple[list[str], list[list[str]]]:
        """Return the head and the lines of ps(1) for all processes of its container.

        Raises:
            InvalidSpec: ps does not take the arguments, or shows no process ids.
        """
        ...


class Cgroups(Protocol):
    """Whether and how the resources of containers are limited and counted here."""

    @property
    def version(self) -> int:
        """The kernel's version of cgroups, 1 or 2."""
        ...

    @property
    def controllers(self) -> Collection[Controller]:
        """What can be limited."""
        ...

    @property
    def reason(self) -> str:
        """Why containers have no cgroups; empty where they have."""
        ...


class Runner(Protocol):
    """Starting programs. Safe to call from any thread.

    `on_exit` is called once, with the exit code, on a thread of the runner's own, and must be quick. The output may go
    on for a moment after that; it has its own end.
    """

    @property
    def cgroups(self) -> Cgroups:
        """What the resources of containers can be limited by."""
        ...

    def run(self, plan: RunPlan, output: Output, input: Input | None, on_exit: Callable[[int], None]) -> Process:
        """Start a container's program.

        Args:
            input: what goes to its standard input; without one it reads nothing.

        Raises:
            CannotStart: with Docker's words.
        """
        ...

    def exec(
        self, container: Process, plan: ExecPlan, output: Output, input: Input | None, on_exit: Callable[[int], None]
    ) -> Process:
        """Start a further program in a running container.

        Raises:
            CannotStart: with Docker's words.
        """
        ...
