"""Two views of one volume, served by the kernel transport in a process of their own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.targets import Server
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
