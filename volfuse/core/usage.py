"""What a container's programs use of the machine."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Usage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A sample.

    Attributes:
        kernel_ns: time on processors in the kernel, of the programs that run and of their children that ended.
        user_ns: the same, outside of the kernel.
        machine_ns: time of all processors of the machine since its start, idle or not.
        processors: how many there are.
        memory_bytes: resident memory, of what is shared with others the part of each.
        tasks: processes and threads.
    """

    kernel_ns: int = 0
    user_ns: int = 0
    machine_ns: int = 0
    processors: int = 0
    memory_bytes: int = 0
    tasks: int = 0
