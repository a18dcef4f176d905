"""Memory of the daemon for what the kernel holds of it, and whether it comes back."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from benchmarks.containers import resident_bytes
from benchmarks.results import Facts
from benchmarks.targets import views_of_one_volume
from benchmarks.trees import grow, walk

__all__ = ["LEFT_BYTES", "LIVE_BYTES", "WALKED", "measure_memory"]

WALKED = "files found by a walk with RLIMIT_NOFILE 1024"
LIVE_BYTES = "daemon, for each live node"
LEFT_BYTES = "daemon, for each node after they were dropped"

_DROP_SLABS = "2"
_SETTLED_S = 1.0
_DEADLINE_S = 120.0


def measure_memory(work: Path, files: int) -> Facts:
    """Walk a tree that the mount has not seen, then have the kernel drop what it holds.

    That empties the caches of names of the whole machine and needs root; without it that row is left out.
    """
    with views_of_one_volume(work / "memory", "kernel", 1) as place:
        assert place.source is not None
        assert place.pid is not None
        resource.prlimit(place.pid, resource.RLIMIT_NOFILE, (1024, 1024))
        grow(place.source / "small", 1000)
        grow(place.source / "tree", files)
        walk(place.directory / "small")
        before = resident_bytes(place.pid)
        found = walk(place.directory / "tree")
        rows = [(WALKED, float(found), f"of {files + -(-files // 1000)}")]
        rows.append((LIVE_BYTES, (resident_bytes(place.pid) - before) / found, "bytes"))
        if _drop_names():
            rows.append((LEFT_BYTES, (_settled(place.pid) - before) / found, "bytes"))
    note = "Resident memory, of one view of a shared volume, over what it was before the walk."
    return Facts("memory", f"Memory, {files:,} files", note, rows)


def _drop_names() -> bool:
    try:
        Path("/proc/sys/vm/drop_caches").write_text(_DROP_SLABS)
    except OSError:
        return False
    return True


def _settled(pid: int) -> int:
    """Wait until the daemon has worked off what the kernel forgot, and return its memory."""
    deadline = time.monotonic() + _DEADLINE_S
    before = -1.0
    while (now := _processor_time(pid)) != before and time.monotonic() < deadline:
        before = now
        time.sleep(_SETTLED_S)
    return resident_bytes(pid)


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
