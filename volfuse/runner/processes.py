"""All processes of a container: which they are, ps(1) for them, and stopping them by the cgroup freezer."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import subprocess
from pathlib import Path

from volfuse.errors import InvalidSpec, Unsupported

__all__ = ["Freezer", "processes_of", "table_of"]

_V1 = Path("/sys/fs/cgroup/freezer")
_V2 = Path("/sys/fs/cgroup")
_PS_S = 10.0
_ROUNDS = 100


def processes_of(pid: int) -> list[int]:
    """Return the ids of all processes in the process namespace of a container's process 1."""
    try:
        wanted = os.stat(f"/proc/{pid}/ns/pid").st_ino
    except FileNotFoundError:
        return []
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):  # ended, or not ours
                if os.stat(f"/proc/{name}/ns/pid").st_ino == wanted:
                    found.append(int(name))
    return found


def table_of(pid: int, ps_arguments: str) -> tuple[list[str], list[list[str]]]:
    """Return the head and the lines of ps(1) for a container's processes (moby daemon/top_unix.go).

    Raises:
        InvalidSpec: ps does not take the arguments, or shows no process ids.
    """
    try:
        arguments = shlex.split(ps_arguments)
    except ValueError as exc:
        raise InvalidSpec(f"invalid ps arguments: {exc}") from exc
    done = subprocess.run(
        ["ps", *arguments], capture_output=True, text=True, timeout=_PS_S, check=False, cwd="/", errors="replace"
    )
    if done.returncode != 0:
        raise InvalidSpec(f"ps: {done.stderr.strip() or done.returncode}")
    head, *lines = done.stdout.splitlines() or [""]
    titles = head.split()
    if "PID" not in titles:
        raise InvalidSpec("Couldn't find PID field in ps output")
    column, inside = titles.index("PID"), set(map(str, processes_of(pid)))
    rows = [line.split(None, len(titles) - 1) for line in lines]
    return titles, [row for row in rows if len(row) > column and row[column] in inside]


class Freezer:
    """A cgroup made for a container while it is paused, and gone afterwards."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._directory: Path | None = None
        self._home: dict[int, Path] = {}

    def freeze(self) -> None:
        """Stop all processes of the container where they are.

        Raises:
            Unsupported: no cgroup can be made here.
        """
        directory, setting, frozen, _ = self._place()
        try:
            directory.mkdir(exist_ok=True)
            self._directory = directory
            for _ in range(_ROUNDS):  # until no new process has appeared while we moved the others
                new = [pid for pid in processes_of(self._pid) if pid not in self._home]
                if not new:
                    break
                for pid in new:
                    self._move(pid, directory)
            (directory / setting).write_text(frozen)
        except OSError as exc:
            if exc.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EOPNOTSUPP):
                raise
            raise Unsupported(f"pause needs a cgroup freezer that may be written: {exc.strerror}") from exc

    def thaw(self) -> None:
        """Let them go on, where they were before; the cgroup goes away."""
        if self._directory is None:
            return
        directory, setting, _, thawed = self._place()
        (directory / setting).write_text(thawed)
        for pid in processes_of(self._pid):
            with contextlib.suppress(ProcessLookupError):
                (self._home.get(pid, directory.parent) / "cgroup.procs").write_text(str(pid))
        with contextlib.suppress(OSError):  # processes that are just ending; the kernel keeps an empty group
            directory.rmdir()
        self._directory = None
        self._home.clear()

    def _place(self) -> tuple[Path, str, str, str]:
        name = f"volfuse-{self._pid}"
        if (_V1 / "cgroup.procs").exists():
            return _V1 / name, "freezer.state", "FROZEN", "THAWED"
        if (_V2 / "cgroup.controllers").exists():
            return _V2 / name, "cgroup.freeze", "1", "0"
        raise Unsupported("pause needs a cgroup freezer, which this machine has not mounted")

    def _move(self, pid: int, directory: Path) -> None:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            self._home[pid] = _cgroup_of(pid, directory.parent)
            (directory / "cgroup.procs").write_text(str(pid))


def _cgroup_of(pid: int, base: Path) -> Path:
    """Return the directory of the cgroup that a process is in, in the hierarchy at `base`."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == ("freezer" if base == _V1 else ""):
            return base / path.lstrip("/")
    return base
