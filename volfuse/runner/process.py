"""A program that was started: its pidfd, its terminal, the pumps of its streams, and its end."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
import threading
from collections.abc import Callable, Sequence

from volfuse.core.usage import Usage
from volfuse.core.wire import Resources
from volfuse.engine.streams import Input, Output
from volfuse.runner.cgroups import Cgroup
from volfuse.runner.loop import Loop
from volfuse.runner.processes import processes_of, table_of
from volfuse.runner.pumps import InputPump, OutputPump
from volfuse.runner.usage import usage_of

__all__ = ["RunningProcess", "Streams"]


class Streams:
    """The daemon's ends of a program's pipes or terminal, and the pumps on them."""

    def __init__(self, loop: Loop, output: Output, source: Input | None) -> None:
        self._loop = loop
        self._output = output
        self._input = source
        self._pumps: list[OutputPump] = []
        self._writer: InputPump | None = None
        self._open = 0  # the loop's thread only, once connected
        self._connected = False  # the loop's thread only
        self._drained = False  # the loop's thread only
        self._may_end = False

    def connect(self, outputs: Sequence[tuple[int, int]], input_fd: int, *, tty: bool) -> None:
        """Begin to move bytes; takes the descriptors.

        Args:
            outputs: descriptors with the numbers of their streams.
            input_fd: descriptor of the input, -1 where there is none.
        """
        self._open = len(outputs)
        self._pumps = [OutputPump(self._loop, fd, stream, self._output, self._one_done) for fd, stream in outputs]
        self._output.listen(lambda: self._loop.call(self._start))
        if input_fd >= 0 and self._input is not None:
            writer = self._writer = InputPump(self._loop, input_fd, self._input, half_open=not tty)
            self._input.listen(lambda: self._loop.call(writer.write))
        self._loop.call(self._begin)

    def _begin(self) -> None:
        self._connected = True
        self._start()
        self._settle()

    def _start(self) -> None:
        for pump in self._pumps:
            pump.start()

    def _one_done(self) -> None:
        self._open -= 1
        self._settle()

    def drain(self) -> None:
        """Read what there still is: the program has ended. On the loop's thread."""
        self._drained = True
        self._settle()

    def end(self) -> None:
        """Allow the output to end: whoever sees its end can ask for the exit code by then."""
        self._may_end = True
        self._loop.call(self._settle)

    def _settle(self) -> None:
        if not self._connected:
            return
        if self._drained:
            if self._writer is not None:
                self._writer.close()
            elif self._input is not None:
                self._input.abandon()
            for pump in self._pumps:
                pump.finish()
        if self._open == 0 and self._may_end:
            self._output.end()


class RunningProcess:
    """A process of the launcher's (`engine.ports.Process`).

    Attributes:
        cgroup: the container's.
    """

    def __init__(self, on_exit: Callable[[int], None], streams: Streams, cgroup: Cgroup) -> None:
        self.cgroup = cgroup
        self._on_exit = on_exit
        self._streams = streams
        self._lock = threading.Lock()
        self._pidfd = -1  # guarded by _lock
        self._terminal_fd = -1  # guarded by _lock
        self._announced = False  # guarded by _lock: the caller knows of the process
        self._code: int | None = None  # guarded by _lock
        self.pid = 0
        self.made = threading.Event()

    def set_made(self, pid: int, pidfd: int) -> None:
        """Say that there is a process; takes the pidfd. `pid` 0: there is none."""
        with self._lock:
            self.pid = pid
            self._pidfd = pidfd
        self.made.set()

    def set_terminal(self, fd: int) -> None:
        """Give the terminal's master, for its size; takes the descriptor."""
        with self._lock:
            self._terminal_fd = fd

    def set_started(self) -> None:
        """Say that the program is executed: from now on its end is told to `on_exit`."""
        with self._lock:
            self._announced = True
            code = self._code
        if code is not None:
            self._tell(code)

    def set_ended(self, code: int) -> None:
        """Say that the process has ended; on the loop's thread."""
        self._streams.drain()
        with self._lock:
            self._code = code
            announced = self._announced
        if announced:
            self._tell(code)

    def _tell(self, code: int) -> None:
        self._on_exit(code)
        self._streams.end()

    def release(self) -> None:
        """Close the descriptors; the loop calls it when the process has ended."""
        with self._lock:
            for fd in (self._pidfd, self._terminal_fd):
                if fd >= 0:
                    os.close(fd)
            self._pidfd = self._terminal_fd = -1

    def copy_pidfd(self) -> int:
        """Return a copy of the pidfd that the caller owns.

        Raises:
            ProcessLookupError: the process has ended.
        """
        with self._lock:
            if self._pidfd < 0:
                raise ProcessLookupError(self.pid)
            return os.dup(self._pidfd)

    def signal(self, number: int) -> bool:
        """Send a signal; tell whether the process was still there."""
        with self._lock:
            if self._pidfd < 0:
                return False
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                return False
            return True

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size; the kernel tells the programs by SIGWINCH."""
        with self._lock:
            if self._terminal_fd >= 0:
                fcntl.ioctl(self._terminal_fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def freeze(self) -> None:
        """Stop all processes of its container (`engine.ports.Process`)."""
        self.cgroup.freeze(self.pid)

    def thaw(self) -> None:
        """Let them go on."""
        self.cgroup.thaw()

    def limit(self, limits: Resources) -> None:
        """Change the limits of its container (`engine.ports.Process`)."""
        self.cgroup.limit(limits, self.pid)

    def usage(self) -> Usage:
        """Return what its container has used (`engine.ports.Process`)."""
        return usage_of(processes_of(self.pid))

    def lacked_memory(self) -> bool:
        """Tell whether the kernel killed in its container for lack of memory (`engine.ports.Process`)."""
        return self.cgroup.has_killed()

    def clear(self) -> None:
        """Take the container's cgroup away (`engine.ports.Process`)."""
        self.cgroup.remove()

    def top(self, ps_arguments: str) -> tuple[list[str], list[list[str]]]:
        """Return ps(1) for all processes of its container (`engine.ports.Process`)."""
        return table_of(self.pid, ps_arguments)
