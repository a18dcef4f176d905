"""Random operations on a view and on a bare directory give the same answers and the same trees.

The bare directory is the oracle: nothing here says what an operation should do. `VOLFUSE_EXAMPLES` sets how many runs.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.conformance.targets import Server

EXAMPLES = int(os.environ.get("VOLFUSE_EXAMPLES", "25"))

names = st.sampled_from(["a", "b", "c", "d/a", "d/b", "d/e/a", "d", "d/e", "missing/x"])
# Links are followed by what writes: none may lead to anything outside the run's own directory.
targets = st.sampled_from(["a", "d", "d/a", "missing", "nowhere/x"])
sides = st.integers(0, 1)
contents = st.binary(max_size=300)
offsets = st.integers(0, 6000)
slots = st.integers(0, 3)

_numbers = itertools.count()


class ViewMachine(RuleBasedStateMachine):
    """Does everything twice: in a view (through either of two) and in a bare directory."""

    shared: tuple[Path, Path, Path]
    """The directory below which the runs work: in both views and on the host."""
    by_path = False
    """An open file whose name means something of another type by now cannot be used (docs/fusepy-limits.md)."""

    def __init__(self) -> None:
        super().__init__()
        name = f"run-{next(_numbers)}"
        self.views = [side / name for side in self.shared[:2]]
        self.host = self.shared[2] / name
        self.host.mkdir()
        self.bare = Path(tempfile.mkdtemp(prefix="volfuse-oracle-"))
        self.open: dict[int, tuple[int, int]] = {}

    @initialize()
    def start(self) -> None:
        os.mkdir(self.views[0] / "d")
        os.mkdir(self.bare / "d")

    def both(self, side: int, action: Callable[[Path], object]) -> None:
        """Do `action` below both roots; the answers must agree."""
        shown, real = answer(lambda: action(self.views[side])), answer(lambda: action(self.bare))
        assert shown == real

    @rule(side=sides, name=names, content=contents)
    def write(self, side: int, name: str, content: bytes) -> None:
        self.both(side, lambda root: (root / name).write_bytes(content))

    @rule(side=sides, name=names, content=contents)
    def append(self, side: int, name: str, content: bytes) -> None:
        def do(root: Path) -> None:
            with open(root / name, "ab") as file:
                file.write(content)

        self.both(side, do)

    @rule(side=sides, name=names)
    def create_exclusively(self, side: int, name: str) -> None:
        self.both(side, lambda root: (root / name).touch(exist_ok=False))

    @rule(side=sides, name=names, size=offsets)
    def truncate(self, side: int, name: str, size: int) -> None:
        self.both(side, lambda root: os.truncate(root / name, size))

    def may_retype(self) -> bool:
        return not (self.by_path and self.open)

    def is_file(self, name: str) -> bool:
        return os.path.isfile(self.bare / name) and not os.path.islink(self.bare / name)

    @rule(side=sides, name=names)
    def mkdir(self, side: int, name: str) -> None:
        if self.may_retype():
            self.both(side, lambda root: os.mkdir(root / name))

    @rule(side=sides, name=names)
    def rmdir(self, side: int, name: str) -> None:
        self.both(side, lambda root: os.rmdir(root / name))

    @rule(side=sides, name=names)
    def unlink(self, side: int, name: str) -> None:
        self.both(side, lambda root: os.unlink(root / name))

    @rule(side=sides, old=names, new=names)
    def rename(self, side: int, old: str, new: str) -> None:
        if self.may_retype() or self.is_file(old):
            self.both(side, lambda root: os.rename(root / old, root / new))

    @rule(side=sides, old=names, new=names)
    def link(self, side: int, old: str, new: str) -> None:
        self.both(side, lambda root: os.link(root / old, root / new, follow_symlinks=False))

    @rule(side=sides, name=names, content=targets)
    def symlink(self, side: int, name: str, content: str) -> None:
        if self.may_retype():
            self.both(side, lambda root: os.symlink(content, root / name))

    @rule(side=sides, name=names, mode=st.sampled_from([0o600, 0o755, 0o4711, 0o2750]))
    def chmod(self, side: int, name: str, mode: int) -> None:
        self.both(side, lambda root: os.chmod(root / name, mode))

    @rule(side=sides, name=names, owner=st.integers(0, 3))
    def chown(self, side: int, name: str, owner: int) -> None:
        self.both(side, lambda root: os.chown(root / name, owner, -1, follow_symlinks=False))

    @rule(side=sides, name=names, time_ns=st.integers(-(10**18), 10**18))
    def utime(self, side: int, name: str, time_ns: int) -> None:
        self.both(side, lambda root: os.utime(root / name, ns=(time_ns, time_ns), follow_symlinks=False))

    @rule(side=sides, name=names, value=contents)
    def setxattr(self, side: int, name: str, value: bytes) -> None:
        self.both(side, lambda root: os.setxattr(root / name, "user.key", value))

    @rule(
        side=sides, slot=slots, name=names, flags=st.sampled_from([0, os.O_CREAT, os.O_CREAT | os.O_TRUNC, os.O_APPEND])
    )
    def open_file(self, side: int, slot: int, name: str, flags: int) -> None:
        self.close_file(slot)
        shown = answer(lambda: os.open(self.views[side] / name, os.O_RDWR | flags, 0o644))
        real = answer(lambda: os.open(self.bare / name, os.O_RDWR | flags, 0o644))
        if isinstance(shown, int) and isinstance(real, int):
            self.open[slot] = (shown, real)
        else:
            assert shown == real

    @rule(slot=slots, content=contents, offset=offsets)
    def pwrite(self, slot: int, content: bytes, offset: int) -> None:
        if slot in self.open:
            shown, real = self.open[slot]
            assert os.pwrite(shown, content, offset) == os.pwrite(real, content, offset)

    @rule(slot=slots, offset=offsets)
    def pread(self, slot: int, offset: int) -> None:
        if slot in self.open:
            shown, real = self.open[slot]
            assert os.pread(shown, 1000, offset) == os.pread(real, 1000, offset)

    @rule(slot=slots, size=offsets)
    def ftruncate(self, slot: int, size: int) -> None:
        if slot in self.open:
            shown, real = self.open[slot]
            os.ftruncate(shown, size)
            os.ftruncate(real, size)

    @rule(slot=slots)
    def close_file(self, slot: int) -> None:
        for fd in self.open.pop(slot, ()):
            os.close(fd)

    @invariant()
    def trees_are_equal(self) -> None:
        expected = tree(self.bare)
        assert tree(self.views[0]) == expected
        assert tree(self.views[1]) == expected
        assert tree(self.host) == expected

    def teardown(self) -> None:
        for slot in list(self.open):
            self.close_file(slot)
        for directory in (self.bare, self.host):
            shutil.rmtree(directory)


def answer(action: Callable[[], object]) -> object:
    """Return what `action` returns, or the name of its error."""
    try:
        return action()
    except OSError as exc:
        return errno.errorcode[exc.errno or 0]


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Return everything that is below `root`."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, subdirectories, filenames in os.walk(root):
        for name in (*subdirectories, *filenames):
            path = Path(directory, name)
            status = os.lstat(path)
            kind = stat.S_IFMT(status.st_mode)
            shown: tuple[object, ...] = (stat.filemode(status.st_mode), status.st_uid, status.st_nlink)
            if kind == stat.S_IFREG:
                shown += (path.read_bytes(), os.listxattr(path))
            elif kind == stat.S_IFLNK:
                shown += (os.readlink(path),)
            found[str(path.relative_to(root))] = shown
    return found


@pytest.fixture
def shared(server: Server) -> Iterator[tuple[Path, Path, Path]]:
    name = f"machine-{os.getpid()}"
    host = server.base / "vol" / name
    host.mkdir()
    yield server.mountpoint / "one/vol" / name, server.mountpoint / "two/vol" / name, host


@pytest.mark.timeout(0)
def test_a_view_behaves_as_a_bare_directory(server: Server, shared: tuple[Path, Path, Path]) -> None:
    umask = os.umask(0o022)
    bound = {"shared": shared, "by_path": server.transport == "fusepy"}
    machine = type("BoundViewMachine", (ViewMachine,), bound)
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES // 2 if bound["by_path"] else EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=checks,
            database=None,
        ),
    )
    os.umask(umask)
