"""The session: who waits for whom, and what stays behind."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integration.kernel.conftest import Sides
from tests.support import eventually
from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.fs.viewtable import ViewTable
from volfuse.transport.kernel import KernelTransport
from volfuse.transport.kernel.session import Reader
from volfuse.transport.kernel.transport import Running
from volfuse.transport.kernel.wire.opcodes import Opcode

DEADLINE_S = 20.0
FILES = 30_000
BYTES_PER_NODE = 500


class Hanging(NamedTuple):
    """A directory where the look-up of `hang…` is not answered before `released` is set.

    Attributes:
        entered: there is such a look-up.
        running: what answers.
    """

    path: Path
    released: threading.Event
    entered: threading.Event
    running: Running

    def counts(self) -> tuple[int, int]:
        """Return how many nodes there are, and requests that are not answered."""
        return len(self.running.server.nodes), len(self.running.session.owed)


@pytest.fixture
def hanging(base: Path) -> Iterator[Hanging]:
    source, mount = base / "slow-source", base / "slow"
    (source / "d").mkdir(parents=True)
    (source / "hanging-file").touch()
    mount.mkdir()
    table = ViewTable(os.stat(base).st_dev)
    table.attach(ViewPlan("slow", "slow", (PlannedMount((), os.fsencode(source), sharing=Sharing.SHARED),)))
    transport = KernelTransport(table)
    transport.start(os.fsencode(mount))
    released, entered = threading.Event(), threading.Event()
    handlers = transport.operations.session.handlers
    lookup = handlers[Opcode.LOOKUP]
    assert lookup is not None

    def slow(reader: Reader) -> bytes | None:
        if bytes(reader.buffer[40 : reader.end - 1]).startswith(b"hang"):
            reader.hand_over()
            entered.set()
            released.wait(DEADLINE_S)
        assert lookup is not None
        return lookup(reader)

    handlers[Opcode.LOOKUP] = slow
    try:
        yield Hanging(mount / "slow", released, entered, transport.operations)
    finally:
        released.set()
        transport.stop()


def test_a_hung_source_holds_up_only_its_users(sides: Sides, hanging: Hanging) -> None:
    source, released, _, _ = hanging
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


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGKILL], [signal.SIGUSR1, signal.SIGKILL]])
def test_a_killed_program_need_not_wait_for_a_hung_source(hanging: Hanging, signals: list[signal.Signals]) -> None:
    os.stat(hanging.path)
    nodes, _ = hanging.counts()
    code = "import os, signal, sys; signal.signal(signal.SIGUSR1, lambda *_: None); os.stat(sys.argv[1])"
    program = subprocess.Popen([sys.executable, "-c", code, str(hanging.path / "hang")])
    assert hanging.entered.wait(DEADLINE_S)
    for number in signals[:-1]:
        program.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(0.1)
    program.send_signal(signals[-1])
    assert program.wait(DEADLINE_S) == -signals[-1]
    assert not hanging.released.is_set()
    assert hanging.counts() == (nodes, 0)
    assert (hanging.path / "d").is_dir()


def test_a_signal_that_does_not_kill_leaves_the_request_be(hanging: Hanging) -> None:
    code = "import os, signal, sys; signal.signal(signal.SIGUSR1, lambda *_: None); os.path.exists(sys.argv[1])"
    program = subprocess.Popen([sys.executable, "-c", code, str(hanging.path / "hang")])
    assert hanging.entered.wait(DEADLINE_S)
    program.send_signal(signal.SIGUSR1)
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.1)
    hanging.released.set()
    assert program.wait(DEADLINE_S) == 0


def test_what_a_late_answer_gives_is_taken_back(hanging: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    (hanging.path / "d").is_dir()
    before = hanging.counts()
    session, dropped = hanging.running.session, threading.Event()
    drop = session.drop

    def dropping(opcode: int, reply: bytes | None) -> None:
        drop(opcode, reply)
        dropped.set()

    monkeypatch.setattr(session, "drop", dropping)
    program = subprocess.Popen(["stat", str(hanging.path / "hanging-file")])
    assert hanging.entered.wait(DEADLINE_S)
    program.kill()
    assert program.wait(DEADLINE_S) == -signal.SIGKILL
    hanging.released.set()
    assert dropped.wait(DEADLINE_S)
    assert hanging.counts() == before


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


def test_a_view_that_is_gone_leaves_no_descriptor(sides: Sides, base: Path) -> None:
    server = sides.server
    before = server.ask("counts")["descriptors"]
    for number in range(5):
        root = base / f"gone-{number}"
        root.mkdir()
        view = server.attach(
            f"gone-{number}",
            {"destination": "", "source": str(root), "private": True, "tag": 10 + number},
            {"destination": "vol", "source": str(base / "vol")},
        )
        subprocess.run(["ls", "-lR", view], check=True, stdout=subprocess.DEVNULL)
        server.ask("detach", f"gone-{number}")
    eventually(lambda: server.ask("counts")["descriptors"] <= before)  # the kernel forgets a moment later
