"""Cgroups of containers: limits and pausing. A container gets one when it needs it.

On version 1 a cgroup is a directory in the hierarchy of each controller, on version 2 one directory. They lie directly
below the hierarchy's root, where Docker's own `cgroupfs` driver puts them too, so their making needs root. Where none
can be made, limits are discarded when a container is created (`core.resources`).

Containers without limits have none, since to become a member takes more time than the rest of a start: the kernel waits
for all processors (cgroup_threadgroup_rwsem).

Source: Linux admin-guide/cgroup-v1, cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from volfuse.core.resources import Controller
from volfuse.core.wire import Resources
from volfuse.errors import Conflict, Internal, Unsupported
from volfuse.runner.cgroupsettings import Setting, settings_v1, settings_v2
from volfuse.runner.processes import processes_of

__all__ = ["Cgroup", "Cgroups", "join", "members_files", "thaw"]

_log = logging.getLogger(__name__)

_BASE = Path("/sys/fs/cgroup")
_V1 = ("memory", "cpu", "cpuset", "pids", "freezer")
_V2 = ("memory", "cpu", "cpuset", "pids")
_MEMBERS = "cgroup.procs"
_FREEZE_V1 = "freezer.state"
_SWAP_FILES = ("memory.memsw.limit_in_bytes", "memory.swap.max")
_ABSENT = frozenset((errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.EBUSY, errno.EOPNOTSUPP))
_NO_LIMIT = ("max", "-1")
_REMOVAL_S = 1.0
_ROUNDS = 100


@dataclass(frozen=True)
class Cgroups:
    """Where cgroups can be made.

    Attributes:
        version: 1 or 2.
        roots: directories by controller, on version 2 all the same; empty where no cgroups can be made.
        controllers: what can be limited.
        reason: why none can be made.
    """

    version: int = 2
    roots: Mapping[str, Path] = field(default_factory=dict)
    controllers: frozenset[Controller] = frozenset()
    reason: str = ""

    @classmethod
    def find(cls, base: Path = _BASE) -> Cgroups:
        """Look which version is mounted, and try to make a cgroup."""
        version, wanted = (2, _unified(base)) if (base / "cgroup.controllers").exists() else (1, _separate(base))
        roots: dict[str, Path] = {}
        swap, reason = False, "no cgroups are mounted"
        for controller, root in wanted.items():
            try:
                with _probe(root) as probe:
                    roots[controller] = root
                    swap = swap or any((probe / name).exists() for name in _SWAP_FILES)
            except OSError as exc:
                if exc.errno not in _ABSENT:
                    raise
                reason = f"cgroups cannot be made: {root}: {exc.strerror}"
        limits = frozenset(c for c in Controller if c.value in roots or (c is Controller.SWAP and swap))
        return cls(version, roots, limits, "" if roots else reason)

    def of(self, name: str) -> Cgroup:
        """Return a container's cgroup, which has not been made."""
        directories = {controller: root / f"volfuse-{name}" for controller, root in self.roots.items()}
        return Cgroup(self.version, directories, self.reason)

    def sweep(self, names: Iterable[str]) -> None:
        """Take away the cgroups of these containers that a killed daemon left."""
        for name in names:
            self.of(name).remove()


def _unified(base: Path) -> dict[str, Path]:
    """Return version 2's one hierarchy for each controller that it hands on to the cgroups below its root."""
    for controller in (base / "cgroup.controllers").read_text().split():
        with contextlib.suppress(OSError):  # what is not handed on is not listed then
            (base / "cgroup.subtree_control").write_text(f"+{controller}")
    handed_on = (base / "cgroup.subtree_control").read_text().split()
    return {"freezer": base} | {controller: base for controller in _V2 if controller in handed_on}


def _separate(base: Path) -> dict[str, Path]:
    """Return version 1's hierarchies; two controllers may share one."""
    return {c: (base / c).resolve() for c in _V1 if (base / c / _MEMBERS).exists()}


@contextmanager
def _probe(root: Path) -> Iterator[Path]:
    directory = root / f"volfuse-probe-{os.getpid()}"
    directory.mkdir()
    try:
        yield directory
    finally:
        directory.rmdir()


@dataclass(frozen=True)
class Cgroup:
    """A container's cgroup, made as far as it is needed.

    Attributes:
        directories: by controller; none where cgroups cannot be made.
        reason: why they cannot.
    """

    version: int
    directories: Mapping[str, Path]
    reason: str

    @property
    def made(self) -> list[str]:
        """The directories that there are, each once."""
        return [str(path) for path in dict.fromkeys(self.directories.values()) if path.exists()]

    @property
    def freezer(self) -> str:
        """The directory that `thaw` takes; empty where processes that are frozen can be killed."""
        return str(self.directories.get("freezer", "")) if self.version == 1 else ""

    def limit(self, limits: Resources, pid: int = 0) -> None:
        """Set limits; what is not limited stays as it is.

        Args:
            pid: process 1 of the container if it runs: all its processes become members.

        Raises:
            Internal: the kernel refuses a limit.
        """
        for controller, name, text in self._settings(limits):
            directory = self.directories.get(controller)
            if directory is None or (text in _NO_LIMIT and not directory.exists()):
                continue
            self._make(directory)
            try:
                (directory / name).write_text(text)
            except OSError as exc:
                raise Internal(f"failed to write {text} to {name}: {exc.strerror}") from exc
            if pid:
                _gather(directory, pid)

    def _settings(self, limits: Resources) -> Sequence[Setting]:
        if self.version == 2:
            return list(settings_v2(limits))
        settings = list(settings_v1(limits))
        if self._grows(limits):
            settings[0:2] = reversed(settings[0:2])
        return settings

    def _grows(self, limits: Resources) -> bool:
        """Tell whether memory together with swap has to be raised first."""
        directory = self.directories.get("memory")
        if not limits.memory or not limits.memory_swap or directory is None or not directory.exists():
            return False
        now = int((directory / "memory.limit_in_bytes").read_text())
        return limits.memory_swap < 0 or now < limits.memory_swap

    def _make(self, directory: Path) -> None:
        if directory.exists():
            return
        directory.mkdir()
        if self.version == 1 and directory == self.directories.get("cpuset"):
            for name in ("cpuset.cpus", "cpuset.mems"):  # without any it takes no process
                (directory / name).write_text((directory.parent / name).read_text())

    def freeze(self, pid: int) -> None:
        """Stop all processes of a container where they are.

        Args:
            pid: its process 1.

        Raises:
            Unsupported: there is no cgroup that can be frozen.
            Conflict: the container has just ended.
        """
        directory = self.directories.get("freezer")
        if directory is None:
            raise Unsupported(f"pause needs a cgroup freezer: {self.reason or 'there is none'}")
        self._make(directory)
        _gather(directory, pid)
        try:
            self._write_freezer(directory, "FROZEN", "1")
        except FileNotFoundError as exc:
            raise Conflict("the container is not running") from exc

    def thaw(self) -> None:
        """Let them go on."""
        directory = self.directories.get("freezer")
        if directory is not None:
            with contextlib.suppress(FileNotFoundError):  # never frozen, or it has just ended
                self._write_freezer(directory, "THAWED", "0")

    def _write_freezer(self, directory: Path, text_v1: str, text_v2: str) -> None:
        name, text = (_FREEZE_V1, text_v1) if self.version == 1 else ("cgroup.freeze", text_v2)
        (directory / name).write_text(text)

    def has_killed(self) -> bool:
        """Tell whether the kernel has killed a process for lack of memory."""
        directory = self.directories.get("memory")
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        if directory is None or not (directory / name).exists():
            return False
        figures = dict(line.split() for line in (directory / name).read_text().splitlines())
        return int(figures.get("oom_kill", 0)) > 0

    def remove(self) -> None:
        """Take the cgroup away; its processes have ended, at most a moment ago.

        What a killed daemon left may hold frozen processes: those are let go on, so that they can end.
        """
        self.thaw()
        deadline_s = time.monotonic() + _REMOVAL_S
        for directory in map(Path, self.made):
            while True:
                try:
                    directory.rmdir()
                except FileNotFoundError:
                    pass
                except OSError as exc:
                    if exc.errno == errno.EBUSY and time.monotonic() < deadline_s:
                        time.sleep(0.001)  # version 1 has no event for the end of the last process' exit
                        continue
                    _log.warning("the cgroup %s stays until the next start: %s", directory, exc.strerror)
                break


def _gather(directory: Path, pid: int) -> None:
    """Make all processes of a container members, until no new one has appeared meanwhile."""
    members: set[int] = set()
    for _ in range(_ROUNDS):
        new = [process for process in processes_of(pid) if process not in members]
        if not new:
            return
        members.update(new)
        for process in new:
            with contextlib.suppress(ProcessLookupError):  # it has ended
                (directory / _MEMBERS).write_text(str(process))


def members_files(directories: Iterable[str]) -> list[int]:
    """Open the lists of cgroups' processes, for `join`; the caller owns the descriptors."""
    return [os.open(os.path.join(d, _MEMBERS), os.O_WRONLY | os.O_CLOEXEC) for d in directories]


def join(files: Iterable[int]) -> None:
    """Make the calling process a member of cgroups, also where they cannot be seen any more."""
    for fd in files:
        os.write(fd, b"0")


def thaw(directory: str) -> None:
    """Let frozen processes go on: on version 1 not even SIGKILL ends them.

    Args:
        directory: `Cgroup.freezer`.
    """
    with contextlib.suppress(FileNotFoundError):  # never frozen
        Path(directory, _FREEZE_V1).write_text("THAWED")
