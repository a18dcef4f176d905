"""Where it is measured: a bare directory, and the same kind of directory seen through volfuse and its peers.

Each target is a context manager that gives a place (`Place`) directly at its mount, or at a volume's. Servers run as
processes of their own, so that the measuring process shares no interpreter lock with them. Paths are of like depth.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.containers import create, import_archive, import_empty
from benchmarks.places import Place
from benchmarks.servers import detach_below, serving
from volfuse.cli.client import Client
from volfuse.testing import DaemonProcess

__all__ = [
    "BINDFS",
    "BINDFS_DEFAULT",
    "FUSEPY",
    "LEASED",
    "LOOPBACK",
    "NATIVE",
    "PASSTHROUGH",
    "PRIVATE",
    "SHARED",
    "Target",
    "available",
    "lacking",
    "views_of_one_volume",
]

NATIVE = "native"
SHARED = "volfuse kernel, shared"
LEASED = "volfuse kernel, leases"
PRIVATE = "volfuse kernel, private"
FUSEPY = "volfuse fusepy, shared"
BINDFS = "bindfs, timeouts 0"
BINDFS_DEFAULT = "bindfs, default"
LOOPBACK = "fusepy loopback"
PASSTHROUGH = "libfuse passthrough"

_VIEWS = 4

Target = Callable[[Path], AbstractContextManager[Place]]


def available(passthrough: Path | None = None) -> dict[str, Target]:
    """Return the targets that this machine has, native first.

    Args:
        passthrough: libfuse's example `passthrough_hp`, `passthrough_ll`, `passthrough_fh` or `passthrough`.
    """
    targets: dict[str, Target] = {NATIVE: _native}
    targets[SHARED] = lambda work: views_of_one_volume(work / "kernel-shared", "kernel", _VIEWS)
    targets[LEASED] = lambda work: views_of_one_volume(work / "kernel-leases", "kernel", _VIEWS, "lease")
    targets[PRIVATE] = _private
    targets[FUSEPY] = lambda work: views_of_one_volume(work / "fusepy-shared", "fusepy", _VIEWS)
    if shutil.which("bindfs"):
        zero = "attr_timeout=0,entry_timeout=0,negative_timeout=0"
        targets[BINDFS] = lambda work: _mounted(work / "bindfs-strict", ["bindfs", "-f", "-o", zero])
        targets[BINDFS_DEFAULT] = lambda work: _mounted(work / "bindfs", ["bindfs", "-f"])
    script = str(Path(__file__).with_name("loopback.py"))
    targets[LOOPBACK] = lambda work: _mounted(work / "loopback", [sys.executable, script])
    if passthrough is not None:
        example = passthrough.resolve(strict=True)
        targets[PASSTHROUGH] = lambda work: _passthrough(work / "passthrough", example)
    return targets


def lacking(passthrough: Path | None) -> list[str]:
    """Say which peers are not here, and how to get them."""
    found = []
    if not shutil.which("bindfs"):
        found.append("no bindfs: apt install bindfs")
    if passthrough is None:
        found.append("no libfuse passthrough: build example/passthrough_hp of libfuse and give --passthrough PATH")
    if not shutil.which("fio"):
        found.append("no fio: apt install fio")
    if not shutil.which("git"):
        found.append("no git: apt install git")
    return found


@contextmanager
def views_of_one_volume(root: Path, transport: str, count: int, coherence: str = "strict") -> Iterator[Place]:
    """Serve `count` views of one volume, at /shared in each."""
    with _daemon(root, transport, "--coherence", coherence) as (daemon, client):
        create(client, "one", volumes={"/shared": {}})
        names = ["one", *(f"v{number}" for number in range(1, count))]
        for name in names[1:]:
            create(client, name, volumes_from=["one"])
        source = Path(client.get("/containers/one/json")["Mounts"][0]["Source"])
        yield Place([daemon.views / name / "shared" for name in names], source, daemon.pid)


@contextmanager
def _native(work: Path) -> Iterator[Place]:
    directory = work / "native" / "views" / "one"
    directory.mkdir(parents=True)
    yield Place([directory], directory)


@contextmanager
def _private(work: Path) -> Iterator[Place]:
    """A container's own tree; planting makes a container of an image that has the tree."""
    with _daemon(work / "kernel-private", "kernel") as (daemon, client):
        create(client, "one")

        def plant(archive: Path, name: str) -> Path:
            import_archive(client, archive, archive.stem)
            create(client, name, image=archive.stem)
            return daemon.views / name

        yield Place([daemon.views / "one"], None, daemon.pid, plant)


@contextmanager
def _daemon(root: Path, transport: str, *options: str) -> Iterator[tuple[DaemonProcess, Client]]:
    try:
        with DaemonProcess(root, "--transport", transport, *options) as daemon:
            client = Client(str(daemon.socket))
            try:
                import_empty(client)
                yield daemon, client
            finally:
                client.close()
    finally:
        detach_below(root)


@contextmanager
def _mounted(base: Path, command: list[str], *, last: tuple[str, ...] = ()) -> Iterator[Place]:
    """Mount `base/source` at `base/views/one` by a command that takes both as its arguments."""
    source, mount = _directories(base)
    with serving([*command, str(source), str(mount), *last], mount) as pid:
        yield Place([mount], source, pid)


@contextmanager
def _passthrough(base: Path, example: Path) -> Iterator[Place]:
    source, mount = _directories(base)
    shown, command = mount, [str(example), "-f", str(mount)]
    match example.name:
        case "passthrough_hp":
            command = [str(example), "--foreground", str(source), str(mount)]
        case "passthrough_ll":
            command[1:1] = ["-o", f"source={source}"]
        case _:  # these show the root directory
            shown = mount / str(source).lstrip("/")
    with serving(command, mount) as pid:
        yield Place([shown], source, pid)


def _directories(base: Path) -> tuple[Path, Path]:
    source, mount = base / "source", base / "views" / "one"
    source.mkdir(parents=True)
    mount.mkdir(parents=True)
    return source, mount
