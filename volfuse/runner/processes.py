"""All processes of a container: which they are, and ps(1) for them."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess

from volfuse.errors import InvalidSpec

__all__ = ["processes_of", "table_of"]

_PS_S = 10.0


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
