"""Process ids of pidfds (pidfd_open(2))."""

from __future__ import annotations

__all__ = ["pid_of"]


def pid_of(pidfd: int) -> int:
    """Return the id of a pidfd's process as `/proc` shows it: that may be another than in our process namespace.

    An ended process has -1.
    """
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))
