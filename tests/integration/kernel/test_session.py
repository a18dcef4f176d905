"""The session: who waits for whom, and what stays behind."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.kernel.conftest import Sides
from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.fs.viewtable import ViewTable
from volfuse.transport.kernel import KernelTransport
from volfuse.transport.kernel.session import Reader
from volfuse.transport.kernel.wire.opcodes import Opcode

DEADLINE_S = 20.0
FILES = 30_000
BYTES_PER_NODE = 500


@pytest.fixture
def hanging(base: Path) -> Iterator[tuple[Path, threading.Event]]:
    """A directory where the look-up of `hang` is not answered before an event is set."""
    source, mount = base / "slow-source", base / "slow"
    (source / "d").mkdir(parents=True)
    mount.mkdir()
    table = ViewTable(os.stat(base).st_dev)
    table.attach(ViewPlan("slow", "slow", (PlannedMount((), os.fsencode(source), sharing=Sharing.SHARED),)))
    transport = KernelTransport(table)
    transport.start(os.fsencode(mount))
    released = threading.Event()
    handlers = transport.operations.session.handlers
    lookup = handlers[Opcode.LOOKUP]
    assert lookup is not None

    def slow(reader: Reader, unique: int, nodeid: int, end: int) -> bytes | None:
        if bytes(reader.buffer[40 : end - 1]).startswith(b"hang"):
            reader.hand_over()
            released.wait(DEADLINE_S)
        assert lookup is not None
        return lookup(reader, unique, nodeid, end)

    handlers[Opcode.LOOKUP] = slow
    try:
        yield mount / "slow", released
    finally:
        released.set()
        transport.stop()


def test_a_hung_source_holds_up_only_its_users(sides: Sides, hanging: tuple[Path, threading.Event]) -> None:
    source, released = hanging
    root = {"destination": "", "source": str(sides.host.parent / "root-one"), "private": True}
    view = sides.server.attach("slow", root, {"destination": "slow", "source": str(source)})
    (sides.one / "file").touch()
    threads = [
        threading.Thread(target=lambda number=number: os.path.exists(view / f"slow/hang{number}"), daemon=True)
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    begin = time.monotonic()
    for _ in range(200):
        os.stat(sides.two / "file")
        (sides.one / "new").touch()
        os.unlink(sides.two / "new")
    assert time.monotonic() - begin < DEADLINE_S / 2
    assert not released.is_set()
    assert all(thread.is_alive() for thread in threads)
    released.set()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    sides.server.ask("detach", "slow")


def test_many_waits_for_a_lock_hold_up_nobody_and_end_with_their_process(sides: Sides) -> None:
    holder = (sides.host / "lock").open("w+b")
    fcntl.flock(holder, fcntl.LOCK_EX)
    waiting = [
        subprocess.Popen(["flock", str(side / "lock"), "true"]) for side in (sides.one, sides.two) for _ in range(5)
    ]
    (sides.one / "file").write_bytes(b"content")
    assert (sides.two / "file").read_bytes() == b"content"
    waiting[0].send_signal(signal.SIGTERM)
    assert waiting[0].wait(DEADLINE_S) == -signal.SIGTERM
    holder.close()
    # Each gets it in turn, also when the one before had it through the handle that is registered as backing file.
    assert [process.wait(DEADLINE_S) for process in waiting[1:]] == [0] * 9


def test_a_walk_of_many_files_needs_few_descriptors_and_little_memory(sides: Sides) -> None:
    resource.prlimit(sides.server.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    for number in range(FILES // 100):
        directory = sides.host / f"directory-{number}"
        directory.mkdir()
        for name in range(100):
            (directory / f"file-number-{name}").touch()
    os.listdir(sides.one)
    before, resident = sides.server.ask("counts"), resident_bytes(sides.server.pid)
    found = sum(len(files) for _, _, files in os.walk(sides.one))
    for directory, _, files in os.walk(sides.one):
        for name in files:
            os.stat(os.path.join(directory, name))
    assert found == FILES
    counts = sides.server.ask("counts")
    nodes = counts["nodes"] - before["nodes"]
    assert nodes >= FILES
    per_node = (resident_bytes(sides.server.pid) - resident) / nodes
    print(f"{per_node:.0f} bytes a node")
    assert per_node < BYTES_PER_NODE
    assert counts["descriptors"] < 400
    Path("/proc/sys/vm/drop_caches").write_text("2")
    deadline = time.monotonic() + DEADLINE_S
    while sides.server.ask("counts")["nodes"] > 100:
        assert time.monotonic() < deadline


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
