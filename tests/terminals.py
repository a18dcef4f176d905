"""Commands run as a user runs them: on pipes, or on a terminal that a test types on."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Terminal", "on_terminal"]

_DEADLINE_S = 20.0


@dataclass
class Terminal:
    """A pseudo-terminal with a command on it."""

    control_fd: int
    device_fd: int
    process: subprocess.Popen[bytes]
    screen: bytes = b""
    before: list[object] = field(default_factory=list)

    def expect(self, text: bytes) -> None:
        """Wait until a text is on the screen."""
        deadline = time.monotonic() + _DEADLINE_S
        while text not in self.screen:
            self._read_until(deadline, f"{text!r} did not come: {self.screen!r}")

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.control_fd, keys)

    def resize(self, height: int, width: int) -> None:
        """Change the window's size."""
        fcntl.ioctl(self.control_fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def signal(self, number: signal.Signals) -> None:
        """Send the command a signal."""
        self.process.send_signal(number)

    def status(self) -> int:
        """Wait for the command's end, collecting what it shows, and return its status."""
        deadline = time.monotonic() + _DEADLINE_S
        pid_fd = os.pidfd_open(self.process.pid)
        try:
            while pid_fd not in self._ready(deadline, "the command did not end", pid_fd):
                self.screen += os.read(self.control_fd, 65536)
        finally:
            os.close(pid_fd)
        while self.control_fd in _poll(0, self.control_fd):
            self.screen += os.read(self.control_fd, 65536)
        return self.process.wait()

    @property
    def restored(self) -> bool:
        """Whether the terminal's mode is what it was."""
        return self.mode() == self.before

    def mode(self) -> list[object]:
        """Return the terminal's mode."""
        return termios.tcgetattr(self.device_fd)

    def _read_until(self, deadline: float, complaint: str) -> None:
        self._ready(deadline, complaint)
        self.screen += os.read(self.control_fd, 65536)

    def _ready(self, deadline: float, complaint: str, *fds: int) -> list[int]:
        ready = _poll(deadline - time.monotonic(), self.control_fd, *fds)
        assert ready, complaint
        return ready


@contextmanager
def on_terminal(command: Sequence[str], env: Mapping[str, str], size: tuple[int, int] = (24, 80)) -> Iterator[Terminal]:
    """Run a command in a session of its own with all its streams on a terminal; it is killed if it still runs."""
    control_fd, device_fd = pty.openpty()
    fcntl.ioctl(control_fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    before = termios.tcgetattr(device_fd)
    process = subprocess.Popen(
        command,
        stdin=device_fd,
        stdout=device_fd,
        stderr=device_fd,
        env=dict(env),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    try:
        yield Terminal(control_fd, device_fd, process, before=before)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(control_fd)
        os.close(device_fd)


def _poll(timeout_s: float, *fds: int) -> list[int]:
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    return [fd for fd, _ in poller.poll(max(timeout_s, 0) * 1000)]
