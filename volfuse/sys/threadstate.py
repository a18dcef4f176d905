"""How far a thread has come: whether it runs, and for how long it has."""

from __future__ import annotations

__all__ = ["is_running", "ran_ns"]


def is_running(thread: int) -> bool:
    """Say whether a thread runs or could; false if it sleeps or has ended."""
    try:
        with open(f"/proc/{thread}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] == b"R"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ran_ns(thread: int) -> int:
    """Return how long a thread has been on a processor; 0 if it has ended.

    Source: Documentation/scheduler/sched-stats.rst, /proc/PID/schedstat.
    """
    try:
        with open(f"/proc/{thread}/schedstat", "rb") as file:
            return int(file.read().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0
