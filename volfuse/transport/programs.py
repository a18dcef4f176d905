"""Which program a request comes from: process id and command name, by the id of the thread that waits for the answer.

It is asked for while the program waits, so it is still there. What was found is believed for a moment, since a program
makes many requests; not for long, since another may be executed, or started, under the same id.
"""

from __future__ import annotations

import os
from typing import Final, Protocol

__all__ = ["Asker", "Program", "Programs"]

Program = tuple[int, int, bytes]
"""Until when it is believed (ns since the epoch), process id, command name; -1 and nothing if it cannot be seen."""

_FRESH_NS: Final = 50_000_000
_KNOWN: Final = 1024


class Asker(Protocol):
    """Whoever asks for something: the request that is being read, or what was kept of one.

    Attributes:
        pid: thread id.
    """

    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def pid(self) -> int: ...


class Programs:
    """The programs that made requests lately.

    Attributes:
        known: by thread id; look there first, and at the time.
    """

    def __init__(self) -> None:
        self.known: dict[int, Program] = {}

    def of(self, thread: int, now_ns: int) -> Program:
        """Return the program that a thread belongs to."""
        program = self.known.get(thread)
        return program if program is not None and program[0] >= now_ns else self.look_at(thread, now_ns)

    def look_at(self, thread: int, now_ns: int) -> Program:
        """Find out which program a thread belongs to."""
        if len(self.known) >= _KNOWN:
            self.known.clear()
        program = self.known[thread] = (now_ns + _FRESH_NS, *_program_of(thread))
        return program


def _program_of(thread: int) -> tuple[int, bytes]:
    """Return process id and command name of a thread; -1 and nothing if it cannot be seen.

    Source: man 5 proc_pid_status; the name is escaped there, in /proc/PID/comm it is not.
    """
    status = _read(b"/proc/%d/status" % thread)
    at = status.find(b"\nTgid:\t")
    if at < 0:
        return -1, b""
    pid = int(status[at + 7 : status.index(b"\n", at + 7)])
    return pid, _read(b"/proc/%d/comm" % pid).removesuffix(b"\n")


def _read(path: bytes) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 4096)
        finally:
            os.close(fd)
    except OSError:
        return b""
