"""Starting a daemon for a command that found none.

The daemon says that it is ready, or ends; both are waited for as events. Commands that start at once take turns by a
lock on the root, so that the later ones find the first one's daemon. A daemon that somebody else is just starting
makes ours end with status 75; then only its socket can be watched for.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from volfuse.cli.connection import connect
from volfuse.cli.failure import CommandFailed
from volfuse.core.locations import Locations

__all__ = ["start_daemon"]

LOG_NAME = "volfused.log"
HELD_ELSEWHERE = 75
DEADLINE_S = 30.0
_RETRY_MS = 20
_LOG_TAIL_BYTES = 2048


def start_daemon(places: Locations, program: Sequence[str] = (sys.executable, "-m", "volfuse.daemon")) -> None:
    """Return once a daemon serves the socket.

    Args:
        places: its root and socket.
        program: what to run.

    Raises:
        CommandFailed: it ended or was not ready in time; the text has its last log lines.
        OSError: the root cannot be made or written.
    """
    os.makedirs(places.root, mode=0o711, exist_ok=True)
    deadline = time.monotonic() + DEADLINE_S
    with _turn(places.root):
        if not _answers(places.socket):
            _launch(places, program, deadline)


@contextmanager
def _turn(root: str) -> Iterator[None]:
    """Hold the lock of starters; its holder gives it back at the latest when its own deadline passes."""
    lock_fd = os.open(f"{root}/start.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock_fd)


def _answers(path: str) -> bool:
    try:
        connect(path).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def _launch(places: Locations, program: Sequence[str], deadline: float) -> None:
    log_path = f"{places.root}/{LOG_NAME}"
    log_fd = os.open(log_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(log_fd, "ab") as log, tempfile.TemporaryDirectory(prefix="volfuse-") as directory:
        begin = log.tell()
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as notices:
            notices.bind(f"{directory}/notify")
            process = subprocess.Popen(
                [*program, "--root", places.root, "--socket", places.socket],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env={**os.environ, "NOTIFY_SOCKET": f"{directory}/notify"},
            )
            ready = _await_ready(process, notices, deadline)
    if ready:
        process.returncode = 0  # it lives on: no ResourceWarning, no reaping
    elif process.returncode == HELD_ELSEWHERE:
        _await_socket(places.socket, deadline, log_path, begin)
    else:
        raise CommandFailed(f"cannot start the volfuse daemon: {_reason(process)}{_tail(log_path, begin)}")


def _await_ready(process: subprocess.Popen[bytes], notices: socket.socket, deadline: float) -> bool:
    """Wait for READY=1 (True), or the process's end or the deadline (False)."""
    process_fd = os.pidfd_open(process.pid)
    try:
        poller = select.poll()
        poller.register(notices, select.POLLIN)
        poller.register(process_fd, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            for fd, _ in poller.poll(left * 1000):
                if fd == notices.fileno() and b"READY=1" in notices.recv(4096).split(b"\n"):
                    return True
                if fd == process_fd:
                    process.wait()
                    return False
    finally:
        os.close(process_fd)
    process.terminate()
    process.wait()
    return False


def _await_socket(path: str, deadline: float, log_path: str, begin: int) -> None:
    """Wait for the daemon that another one is starting: it gives no event to a stranger, so ask again and again."""
    while not _answers(path):
        if time.monotonic() > deadline:
            raise CommandFailed(f"another volfuse daemon holds the root, but not unix://{path}{_tail(log_path, begin)}")
        select.poll().poll(_RETRY_MS)


def _reason(process: subprocess.Popen[bytes]) -> str:
    if process.returncode is not None and process.returncode > 0:
        return f"it ended with status {process.returncode}"
    if process.returncode == 0:
        return "it ended"
    return f"it was not ready within {DEADLINE_S:.0f} s, or was killed"


def _tail(log_path: str, begin: int) -> str:
    with open(log_path, "rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(begin, size - _LOG_TAIL_BYTES))
        lines = log.read().decode(errors="replace").strip().splitlines()[-8:]
    return "".join(f"\n  {line}" for line in lines)
