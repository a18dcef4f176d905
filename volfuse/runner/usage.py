"""What a container's processes use, as /proc tells it.

A cgroup would tell it more exactly, but to become a member of one takes a start several times its own time: the kernel
waits for all processors (cgroup_threadgroup_rwsem). So programs that ended without a parent to wait for them, such as
those of `exec`, are not counted any more.

Source: proc_pid_stat(5), proc_pid_smaps(5), proc_stat(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from volfuse.core.usage import Usage

__all__ = ["usage_of"]

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_MACHINE_FIELDS = 7
"""Those of /proc/stat's line `cpu` that moby adds up (daemon/stats_unix.go)."""
_UTIME, _STIME, _CUTIME, _CSTIME, _THREADS = 11, 12, 13, 14, 17
"""Fields of /proc/PID/stat behind the name, which may hold anything but comes in parentheses."""


def usage_of(processes: Iterable[int]) -> Usage:
    """Sample these processes; what ends meanwhile is not counted."""
    user = kernel = memory = tasks = 0
    for pid in processes:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            memory += _memory_bytes(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        user += int(fields[_UTIME]) + int(fields[_CUTIME])
        kernel += int(fields[_STIME]) + int(fields[_CSTIME])
        tasks += int(fields[_THREADS])
    return Usage(
        kernel_ns=kernel * _TICK_NS,
        user_ns=user * _TICK_NS,
        machine_ns=_machine_ns(),
        processors=os.cpu_count() or 1,
        memory_bytes=memory,
        tasks=tasks,
    )


def _memory_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    except PermissionError:  # a set-user-id program of an ordinary user's
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _machine_ns() -> int:
    first = Path("/proc/stat").read_text().split("\n", 1)[0]
    return sum(int(word) for word in first.split()[1 : 1 + _MACHINE_FIELDS]) * _TICK_NS
