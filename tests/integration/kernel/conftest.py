"""Views of one volume, served by the kernel transport in a process of their own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.targets import LEASED, Server
from tests.support import needs


@dataclass(frozen=True)
class Sides:
    """One directory of a volume from three sides, and the process that serves it."""

    server: Server
    one: Path
    two: Path
    host: Path


@pytest.fixture
def base() -> Iterator[Path]:
    """A directory on disk that every user can pass."""
    path = Path(tempfile.mkdtemp(prefix="volfuse-kernel-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def sides(base: Path) -> Iterator[Sides]:
    """Views `one` and `two` with the volume at `vol`."""
    needs(os.path.exists("/dev/fuse"), "there is no /dev/fuse")
    needs(os.geteuid() == 0, "mounts need root")
    for name in ("vol", "root-one", "root-two"):
        (base / name).mkdir()
    server = Server("kernel", base)
    try:
        for name in ("one", "two"):
            root = {"destination": "", "source": str(base / f"root-{name}"), "private": True}
            server.attach(name, root, {"destination": "vol", "source": str(base / "vol")})
        views = server.mountpoint
        yield Sides(server, views / "one/vol", views / "two/vol", base / "vol")
    finally:
        log = server.stop()
    assert not log, log


VIEWS = ("one", "two", "three", "four")


@dataclass(frozen=True)
class Leased:
    """One directory of a volume in four views with leases and a strict one, and the process that serves them."""

    server: Server
    base: Path
    host: Path

    @property
    def views(self) -> list[Path]:
        """The directory in the views with leases."""
        return [self.server.mountpoint / name / "vol" for name in VIEWS]

    @property
    def strict(self) -> Path:
        """The directory in the strict view."""
        return self.server.mountpoint / "strict/vol"

    def attach(self, name: str, coherence: str = "lease") -> Path:
        """Show one more view; return the directory in it."""
        (self.base / f"root-{name}").mkdir(exist_ok=True)
        root = {"destination": "", "source": str(self.base / f"root-{name}"), "private": True}
        volume = {"destination": "vol", "source": str(self.host), "coherence": coherence}
        return self.server.attach(name, root, volume) / "vol"


@pytest.fixture
def leased(base: Path) -> Iterator[Leased]:
    """Views with leases; whoever expects a line in the log takes it out of `base/log`."""
    needs(os.path.exists("/dev/fuse"), "there is no /dev/fuse")
    needs(os.geteuid() == 0, "mounts need root")
    (base / "vol").mkdir()
    sides = Leased(Server(LEASED, base), base, base / "vol")
    try:
        for name in VIEWS:
            sides.attach(name)
        sides.attach("strict", "strict")
        yield sides
        assert sides.server.ask("counts")["failures"] == 0
    finally:
        log = sides.server.stop()
    assert not log, log
