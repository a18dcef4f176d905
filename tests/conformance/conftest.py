"""Targets of the conformance suite.

`target` runs a test on a bare directory, which is the oracle, on a shared source of two views and on a private tree. A
known gap of a transport is marked `@pytest.mark.gap("fusepy-shared", …, reason=…)`: there the test must fail.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.targets import COMPILED, LEASED, Server, Target
from tests.support import needs

TRANSPORTS = ("fusepy", "kernel", COMPILED)
KINDS = (
    "bare",
    *(f"{transport}-{what}" for transport in TRANSPORTS for what in ("shared", "private")),
    f"{LEASED}-shared",
)

_numbers = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gap(*kinds, reason): known not to work on these targets")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        values = callspec.params.values() if callspec else ()
        params = {
            value.replace(COMPILED, "kernel").replace(LEASED, "kernel") for value in values if isinstance(value, str)
        }
        for gap in item.iter_markers("gap"):
            if params & set(gap.args):
                item.add_marker(pytest.mark.xfail(strict=True, reason=gap.kwargs["reason"]))


@pytest.fixture(scope="session")
def base() -> Iterator[Path]:
    """A directory on disk that every user can pass, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="volfuse-conformance-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session", params=TRANSPORTS)
def server(request: pytest.FixtureRequest, base: Path) -> Iterator[Server]:
    """A process that serves views by one transport."""
    yield from _serve(request.param, base)


@pytest.fixture(scope="session")
def fusepy(base: Path) -> Iterator[Server]:
    """A process with two views, `one` and `two`, that share `vol`."""
    yield from _serve("fusepy", base)


@pytest.fixture(scope="session")
def kernel(base: Path) -> Iterator[Server]:
    """As `fusepy`, by the kernel transport."""
    yield from _serve("kernel", base)


@pytest.fixture(scope="session")
def compiled(base: Path) -> Iterator[Server]:
    """As `kernel`, compiled."""
    yield from _serve(COMPILED, base)


@pytest.fixture(scope="session")
def leased(base: Path) -> Iterator[Server]:
    """As `kernel`, with leases in `vol`."""
    yield from _serve(LEASED, base)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """Name of each transport, for tests that start a process of their own."""
    name: str = request.param
    return name


def _serve(transport: str, base: Path) -> Iterator[Server]:
    needs(os.path.exists("/dev/fuse"), "there is no /dev/fuse")
    ordinary = os.environ.get("VOLFUSE_ROOTLESS") == "1"  # test_rootless runs what needs no other users
    needs(ordinary or os.geteuid() == 0, "the suite changes users, so it must be root")
    directory = base / f"{transport}-{next(_numbers)}"
    for name in ("vol", "root-one", "root-two"):
        (directory / name).mkdir(parents=True)
    server = Server(transport, directory)
    try:
        for number, name in enumerate(("one", "two"), start=1):
            server.attach(
                name,
                {"destination": "", "source": str(directory / f"root-{name}"), "private": True, "tag": number},
                {
                    "destination": "vol",
                    "source": str(directory / "vol"),
                    "coherence": "lease" if transport == LEASED else "strict",
                },
                {"destination": "ro", "source": str(directory / "vol"), "readonly": True},
            )
        yield server
        counts = server.ask("counts")
        assert counts["handles"] == counts["locks"] == counts["failures"] == 0, counts
    finally:
        log = server.stop()
    assert not log, log


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, base: Path) -> Iterator[Target]:
    """An empty directory, from all sides."""
    name = f"case-{next(_numbers)}"
    kind: str = request.param
    transport, _, what = kind.partition("-")
    if kind == "bare":
        host = path = other = base / name
    else:
        server: Server = request.getfixturevalue(transport)
        if what == "shared":
            host = server.base / "vol" / name
            path, other = (server.mountpoint / view / "vol" / name for view in ("one", "two"))
        else:
            host = server.base / "root-one" / name
            path = other = server.mountpoint / "one" / name
    host.mkdir()
    host.chmod(0o755)
    umask = os.umask(0o022)
    yield Target(kind, path, other, host)
    os.umask(umask)
    shutil.rmtree(host)


@pytest.fixture
def readonly(server: Server) -> Iterator[Target]:
    """A directory seen through a read-only mount (`path`), a writable one (`other`) and on the host."""
    name = f"case-{next(_numbers)}"
    host = server.base / "vol" / name
    host.mkdir()
    kind = f"{server.transport}-shared"
    yield Target(kind, server.mountpoint / "one/ro" / name, server.mountpoint / "two/vol" / name, host)
    shutil.rmtree(host)
