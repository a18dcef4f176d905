"""Requests that came too late, and what they are to find when they are tried again.

A file may be removed or replaced between its look-up and its opening, or made between its look-up and its making. The
answer is ESTALE, and the kernel tries once more by itself; a second time the program would hear of it. So what a thread
looks up then is held until it is used.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Final

from volfuse.sys.statx import Statx
from volfuse.transport.kernel.mounts import MountState
from volfuse.transport.kernel.nodes import Fd

__all__ = ["Misses"]

_PATH: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_HELD_S: Final = 1.0
_MANY: Final = 64


class Misses:
    """What is held, for a second at most.

    Attributes:
        late: threads whose last request came too late, and since when (monotonic, seconds).
    """

    def __init__(self) -> None:
        self.late: dict[int, float] = {}
        self._held: dict[int, tuple[bytes, Fd]] = {}  # key and descriptor of what such a thread looked up last

    def missed(self, thread: int) -> None:
        """Note that a thread is about to be answered ESTALE; not one that is not known (0)."""
        if len(self.late) >= _MANY:
            self.clear()
        if thread:
            self.late[thread] = time.monotonic()

    def hold(self, thread: int, mount: MountState, directory_fd: int, name: bytes, statx: Statx) -> int:
        """Hold what a thread looks up, if it came too late before; return 0, or errno if it is gone again.

        Args:
            statx: holds what was found, and then what is held.
        """
        if thread not in self.late:
            return 0
        try:
            held = Fd(os.open(name, _PATH, dir_fd=directory_fd))
            self._held[thread] = mount.key(statx.at(held.fd, b"")), held
        except OSError as exc:
            return exc.errno or errno.EIO
        return 0

    def take(self, thread: int, key: bytes) -> Fd | None:
        """Return the descriptor of the file with a key, if it was held for a thread."""
        self.late.pop(thread, None)
        held = self._held.pop(thread, None)
        return held[1] if held is not None and held[0] == key else None

    def tidy(self) -> bool:
        """Let go of what nobody has come for; say whether anything is left."""
        oldest = time.monotonic() - _HELD_S
        for thread, since in list(self.late.items()):
            if since < oldest:
                self.late.pop(thread, None)
                self._held.pop(thread, None)
        return bool(self.late)

    def clear(self) -> None:
        """Let go of everything."""
        self.late.clear()
        self._held.clear()
