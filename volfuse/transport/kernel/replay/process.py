"""The helper's process, as the daemon handles it: started when it is first needed, gone with the daemon."""

from __future__ import annotations

import contextlib
import marshal
import mmap
import os
import socket
import subprocess
import sys
import time
from struct import Struct
from typing import Any, Final

from volfuse.transport.kernel.replay import helper

__all__ = ["Command", "HelperProcess"]

Command = tuple[Any, ...]
"""Name of a method of the helper, and its arguments."""

_LENGTH = Struct("<I")
_ANSWER_S: Final = 10.0
_END_S: Final = 2.0
_PAUSE_NS: Final = 3_000_000


class HelperProcess:
    """A running helper; a context manager that ends it.

    Attributes:
        pid: by which its requests are known.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        shared_fd = os.memfd_create("volfuse-replay", os.MFD_CLOEXEC)
        try:
            os.ftruncate(shared_fd, helper.SHARED_BYTES)
            self._shared = mmap.mmap(shared_fd, helper.SHARED_BYTES)
            helper.CURRENT.pack_into(self._shared, 0, -1, 0)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", helper.__file__, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    cwd="/",
                )
            self._socket = ours
            ours.settimeout(_ANSWER_S)
            socket.send_fds(ours, [helper.MAGIC], [shared_fd])
        except BaseException:
            ours.close()
            raise
        finally:
            os.close(shared_fd)
        self.pid = self._process.pid

    def current(self) -> tuple[int, int]:
        """Return the number in the batch of the command that is being done, -1 if none is, and which attempt it is."""
        number, attempt = helper.CURRENT.unpack_from(self._shared)
        return number, attempt

    def pause(self) -> bool:
        """Have nothing begun for three milliseconds; say whether something is still being done."""
        helper.TIME.pack_into(self._shared, helper.PAUSE_AT, time.monotonic_ns() + _PAUSE_NS)
        return self.current()[0] >= 0 and not helper.TIME.unpack_from(self._shared, helper.RESTS_AT)[0]

    def run(self, commands: list[Command]) -> list[int]:
        """Have commands done; return the errno of each.

        Raises:
            OSError: the helper is gone, or does not answer.
        """
        message = marshal.dumps(commands)
        self._socket.sendall(_LENGTH.pack(len(message)) + message)
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        results: list[int] = marshal.loads(self._read(length))
        return results

    def close(self) -> None:
        """End it. It may be held by a request that it waits for; the kernel ends it then when that is answered."""
        self._socket.close()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        if self._process.returncode is None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            part = self._socket.recv(size)
            if not part:
                raise ConnectionError("the replay helper has ended")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
