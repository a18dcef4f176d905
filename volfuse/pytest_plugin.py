"""Fixtures for tests that share volumes between containers, without Docker and without root.

    def test_worker_sees_upload(container_factory):
        web = container_factory(volumes=["/uploads"])
        worker = container_factory(volumes_from=[web])
        (web.view / "uploads" / "photo").write_bytes(b"...")
        assert (worker.view / "uploads" / "photo").exists()

Each test run (with pytest-xdist: each worker) has a daemon and a state root of its own, which go away with it. What a
test makes goes away with the test. Everything is imported late: pytest loads this module in every run.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from volfuse.cli.client import Client, Query
    from volfuse.testing import DaemonProcess

__all__ = ["Container", "ContainerFactory", "ImageFactory", "Volume", "VolumeFactory"]

_DIRECTORIES = ("bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "var")


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a test.

    Attributes:
        view: its file tree.
        mounts: destination to what inspect says of the mount point.
    """

    id: str
    name: str
    view: Path
    mounts: Mapping[str, Mapping[str, Any]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of a test; `path` is its source directory on the host."""

    name: str
    path: Path


class ImageFactory:
    """Makes images of directories and tar files; see the fixture `image_factory`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._count = 0
        self._empty = ""

    def __call__(self, source: Path | None = None, *, volumes: Iterable[str] = (), changes: Sequence[str] = ()) -> str:
        """Import a file tree and return the image's name.

        Args:
            source: a directory or a tar file; if not given, a tree with the usual directories and nothing in them.
            volumes: destinations that the image declares as volumes.
            changes: more Dockerfile instructions, such as `ENV A=b`.
        """
        self._count += 1
        name = f"test/image{self._count}:latest"
        instructions = [*(f"VOLUME {path}" for path in volumes), *changes]
        with tempfile.TemporaryFile() as archive:
            _write_tar(archive, source)
            archive.seek(0)
            query: Query = {"fromSrc": "-", "repo": name, "changes": instructions}
            for line in self._client.lines("POST", "/images/create", query, upload=archive):
                if "error" in line:
                    raise RuntimeError(line["error"])
        return name

    def empty(self) -> str:
        """Return the name of an image without files."""
        self._empty = self._empty or self()
        return self._empty


class ContainerFactory:
    """Makes containers; see the fixture `container_factory`."""

    def __init__(self, client: Client, images: ImageFactory, volumes: VolumeFactory, views: Path) -> None:
        self._client = client
        self._images = images
        self._volumes = volumes
        self._views = views
        self._made: list[str] = []

    def __call__(
        self,
        image: str | Path | None = None,
        *,
        name: str = "",
        volumes: Iterable[str] = (),
        volumes_from: Iterable[Container | str] = (),
        tmpfs: Iterable[str] = (),
        read_only: bool = False,
    ) -> Container:
        """Create a container, whose view can be used at once.

        Args:
            image: a name that `image_factory` gave, or a directory or tar file; without it an empty file tree.
            name: chosen if not given.
            volumes: as Docker's `-v`: `/data`, `name:/data`, `/host/path:/data:ro`.
            volumes_from: containers, or their names with `:ro` behind.
            tmpfs: as Docker's `--tmpfs`.
            read_only: make the private tree read-only.

        Raises:
            volfuse.cli.failure.DaemonError: with Docker's text, where Docker would refuse.
        """
        from volfuse.core.mountflag import AnonymousVolume, parse_tmpfs_flag, parse_volume_flag

        flags = [parse_volume_flag(text, os.getcwd()) for text in volumes]
        body = {
            "Image": self._image(image),
            "Cmd": ["true"],
            "Volumes": {flag.destination: {} for flag in flags if isinstance(flag, AnonymousVolume)},
            "HostConfig": {
                "Binds": [flag.spec for flag in flags if not isinstance(flag, AnonymousVolume)],
                "VolumesFrom": [c if isinstance(c, str) else c.id for c in volumes_from],
                "Tmpfs": dict(parse_tmpfs_flag(text) for text in tmpfs),
                "ReadonlyRootfs": read_only,
            },
        }
        known = self._volumes.existing()
        created = self._client.post("/containers/create", {"name": name or None}, body)
        self._made.append(created["Id"])
        found = self._client.get(f"/containers/{created['Id']}/json")
        own_name = found["Name"].removeprefix("/")
        mounts = {mount["Destination"]: mount for mount in found["Mounts"]}
        self._volumes.adopt({mount["Name"] for mount in found["Mounts"] if "Name" in mount} - known)
        return Container(found["Id"], own_name, self._views / own_name, mounts)

    def _image(self, image: str | Path | None) -> str:
        if image is None:
            return self._images.empty()
        return image if isinstance(image, str) else self._images(image)

    def remove_all(self) -> None:
        """Remove the containers made here that are still there, with their anonymous volumes."""
        for container in reversed(self._made):
            _remove(self._client, f"/containers/{container}", {"v": "1", "force": "1"})
        self._made.clear()


class VolumeFactory:
    """Makes volumes; see the fixture `volume_factory`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._made: list[str] = []

    def __call__(self, name: str = "", *, labels: Mapping[str, str] | None = None) -> Volume:
        """Create a volume; without a name an anonymous one."""
        found = self._client.post("/volumes/create", None, {"Name": name, "Labels": dict(labels or {})})
        self._made.append(found["Name"])
        return Volume(found["Name"], Path(found["Mountpoint"]))

    def existing(self) -> set[str]:
        """Return the names of all volumes."""
        return {volume["Name"] for volume in self._client.get("/volumes")["Volumes"]}

    def adopt(self, names: Iterable[str]) -> None:
        """Remove these volumes after the test too."""
        self._made.extend(names)

    def remove_all(self) -> None:
        """Remove the volumes made here that are still there."""
        for name in self._made:
            _remove(self._client, f"/volumes/{name}", {"force": "1"})
        self._made.clear()


@pytest.fixture(scope="session")
def volfuse_daemon() -> Iterator[DaemonProcess]:
    """A daemon for this test run, on a state root that is deleted afterwards. Skips where FUSE is missing."""
    if reason := _missing():
        pytest.skip(reason)
    from volfuse.testing import DaemonProcess

    directory = tempfile.mkdtemp(prefix="volfuse-")
    os.chmod(directory, 0o711)  # tests may look at views as other users
    try:
        with DaemonProcess(Path(directory) / "root") as daemon:
            yield daemon
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def _volfuse_client(volfuse_daemon: DaemonProcess) -> Iterator[Client]:
    from volfuse.cli.client import Client

    client = Client(str(volfuse_daemon.socket))
    yield client
    client.close()


@pytest.fixture(scope="session")
def image_factory(_volfuse_client: Client) -> ImageFactory:
    """Call it with a directory or a tar file to get an image; images stay for the test run."""
    return ImageFactory(_volfuse_client)


@pytest.fixture
def volume_factory(_volfuse_client: Client) -> Iterator[VolumeFactory]:
    """Call it to get a volume; removed after the test."""
    factory = VolumeFactory(_volfuse_client)
    yield factory
    factory.remove_all()


@pytest.fixture
def container_factory(
    _volfuse_client: Client, image_factory: ImageFactory, volume_factory: VolumeFactory, volfuse_daemon: DaemonProcess
) -> Iterator[ContainerFactory]:
    """Call it to get a container; removed after the test, with the volumes that came with it."""
    factory = ContainerFactory(_volfuse_client, image_factory, volume_factory, volfuse_daemon.views)
    yield factory
    factory.remove_all()


def _remove(client: Client, path: str, query: Mapping[str, str]) -> None:
    """Delete an object; that the test has deleted it already is no error."""
    from volfuse.cli.failure import DaemonError

    try:
        client.delete(path, query)
    except DaemonError as exc:
        if exc.status != 404:
            raise


def _write_tar(archive: IO[bytes], source: Path | None) -> None:
    if source is not None and not source.is_dir():
        with open(source, "rb") as tar:
            shutil.copyfileobj(tar, archive)
        return
    with tarfile.open(fileobj=archive, mode="w") as tar:
        if source is not None:
            tar.add(source, arcname=".")
            return
        for name in _DIRECTORIES:
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(directory)


def _missing() -> str:
    """Say why no file system can be mounted here; empty if it can."""
    if not os.path.exists("/dev/fuse"):
        return "volfuse needs /dev/fuse: load the kernel module fuse"
    if os.access("/dev/fuse", os.R_OK | os.W_OK):
        if os.geteuid() == 0 or shutil.which("fusermount3") or shutil.which("fusermount"):
            return ""
        return "volfuse needs root, or fusermount3 (Debian package fuse3)"
    return "volfuse may not open /dev/fuse"
