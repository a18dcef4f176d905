"""A real daemon for tests: started on a root of its own, waited for, and ended without a trace.

The pytest plugin and volfuse's own tests use it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from volfuse.transport.stalemounts import detach_stale

__all__ = ["DaemonDied", "DaemonProcess"]

_START_S = 30.0
_STOP_S = 20.0


class DaemonDied(RuntimeError):
    """The daemon did not start, or did not end in time; the text has its log."""


class DaemonProcess:
    """A daemon in a process of its own; a context manager that starts and stops it.

    Attributes:
        root: its state root; may be used again by another daemon afterwards.
        socket: path of its API.
        views: directory of its views.
        log_path: file with what it wrote to stderr, in the root.
    """

    def __init__(
        self,
        root: Path,
        *arguments: str,
        socket_path: Path | None = None,
        views: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Say what to start.

        Args:
            root: state root; made if it is missing.
            arguments: more options of `volfused`.
            socket_path: ROOT/volfuse.sock if not given. Clients of Docker take at most 107 bytes.
            views: where the views are mounted, ROOT/views if not given.
            environ: variables besides the test's own.
        """
        self.root = root
        self.socket = socket_path or root / "volfuse.sock"
        self.views = views or root / "views"
        self.log_path = root / "volfused.log"
        self._arguments = arguments
        self._environ = dict(environ or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def docker_host(self) -> str:
        """What DOCKER_HOST must be for Docker's clients."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """Process id of the running daemon."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._process is not None

    @property
    def log(self) -> str:
        """What the daemons on this root have logged so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> Self:
        """Start the daemon and wait until it says that it is ready.

        Raises:
            DaemonDied: it ended, or was not ready in time.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        name = f"volfuse-test-{uuid4().hex}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices, open(self.log_path, "ab") as log:
            notices.bind(f"\0{name}")
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "volfuse.daemon"),
                    *("--root", str(self.root), "--socket", str(self.socket), "--views", str(self.views)),
                    *self._arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **self._environ, "NOTIFY_SOCKET": f"@{name}"},
            )
            self._await_ready(notices)
        return self

    def stop(self) -> int:
        """End the daemon by SIGTERM and return its exit status.

        Raises:
            DaemonDied: it did not end in time; it was killed.
        """
        status = self._end(signal.SIGTERM)
        if status is None:
            self.kill()
            raise DaemonDied(f"the daemon did not end within {_STOP_S:.0f} s\n{self.log}")
        return status

    def kill(self) -> None:
        """Kill the daemon, as a crash would: its mounts stay, dead."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process is not None:
                self.stop()
        finally:
            detach_stale(os.fsencode(self.views))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise DaemonDied("the daemon does not run")
        return self._process

    def _await_ready(self, notices: socket.socket) -> None:
        process = self._running()
        deadline = time.monotonic() + _START_S
        with _PidFd(process.pid) as process_fd:
            while (left := deadline - time.monotonic()) > 0:
                ready = _readable(left, notices.fileno(), process_fd)
                if notices.fileno() in ready and b"READY=1" in notices.recv(4096).split(b"\n"):
                    return
                if process_fd in ready:
                    status = process.wait()
                    self._process = None
                    raise DaemonDied(f"the daemon ended with status {status}\n{self.log}")
        self.kill()
        raise DaemonDied(f"the daemon was not ready within {_START_S:.0f} s\n{self.log}")

    def _end(self, number: signal.Signals) -> int | None:
        """Send a signal and wait; return the exit status, or None if it still runs."""
        process = self._running()
        with _PidFd(process.pid) as process_fd:
            process.send_signal(number)
            ready = _readable(_STOP_S, process_fd)
        if not ready:
            return None
        self._process = None
        return process.wait()


def _readable(timeout_s: float, *fds: int) -> list[int]:
    """Wait until one of the descriptors is readable; return those that are."""
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    return [fd for fd, _ in poller.poll(timeout_s * 1000)]


class _PidFd:
    """A descriptor that is readable when a process has ended."""

    def __init__(self, pid: int) -> None:
        self._fd = os.pidfd_open(pid)

    def __enter__(self) -> int:
        return self._fd

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
