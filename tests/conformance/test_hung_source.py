"""A source whose server does not answer holds up only those who use it.

The hung server is another process of ours, stopped by a signal; its mount is the source of a volume.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.targets import Server

DEADLINE_S = 20.0


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process for the block, but not longer than the deadline: who waits for it cannot be killed."""
    late = threading.Event()

    def rescue() -> None:
        late.set()
        os.kill(pid, signal.SIGCONT)

    timer = threading.Timer(DEADLINE_S, rescue)
    os.kill(pid, signal.SIGSTOP)
    timer.start()
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        timer.cancel()
        timer.join()
    assert not late.is_set(), "what has nothing to do with the hung source waited for it"


@pytest.mark.timeout(60)
def test_a_hung_source_holds_up_only_its_users(fusepy: Server, base: Path) -> None:
    directory = base / "hung"
    for name in ("", "far", "root"):
        (directory / name).mkdir()
    far = Server("fusepy", directory)
    users = []
    try:
        far.attach("far", {"destination": "", "source": str(directory / "far")})
        view = fusepy.attach(
            "hung",
            {"destination": "", "source": str(directory / "root"), "private": True},
            {"destination": "vol", "source": str(far.mountpoint / "far")},
        )
        (view / "vol/f").write_bytes(b"content")
        with stopped(far.pid):
            for _ in range(15):  # more than libfuse keeps idle threads for
                pid = os.fork()
                if pid == 0:
                    os._exit(0 if (view / "vol/f").read_bytes() == b"content" else 1)
                users.append(pid)
            one = fusepy.mountpoint / "one/vol"
            for number in range(20):
                (one / f"f{number}").write_bytes(b"quick")
                (one / f"f{number}").unlink()
                (view / f"g{number}").touch()
            assert len(os.listdir(view)) == 21
            assert os.waitpid(users[0], os.WNOHANG) == (0, 0)
    finally:
        statuses = [os.waitpid(pid, 0)[1] for pid in users]
        fusepy.ask("detach", "hung")
        assert far.stop() == ""
    assert statuses == [0] * 15
