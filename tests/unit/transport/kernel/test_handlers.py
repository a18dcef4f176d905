"""All handlers without a mount: bytes in, a reply out, or an error that is expected."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volfuse.core.coherence import Coherence
from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.fs.viewtable import ViewTable
from volfuse.fs.watching import SourceWatcher
from volfuse.transport.kernel import KernelTransport
from volfuse.transport.kernel.negotiation import Agreement
from volfuse.transport.kernel.nodes import ROOT_ID, DirectoryNode
from volfuse.transport.kernel.session import Reader
from volfuse.transport.kernel.transport import Running
from volfuse.transport.kernel.wire import requests
from volfuse.transport.kernel.wire.errors import ProtocolError
from volfuse.transport.kernel.wire.flags import FUSE_LK_FLOCK, Init
from volfuse.transport.kernel.wire.opcodes import Opcode

# SYNCFS writes the whole machine's data to disk.
OPCODES = sorted(set(Opcode) - {Opcode.SYNCFS})


class Kernel:
    """Plays the kernel's part: sends requests to handlers by hand."""

    def __init__(self, base: Path, watcher: SourceWatcher | None = None) -> None:
        # Handlers set the umask of their thread, which a reader has for itself and a test has not.
        self._umask = os.umask(0o022)
        for name in ("root", "vol/dir"):
            (base / name).mkdir(parents=True)
        (base / "vol/file").write_bytes(b"content")
        (base / "root/file").write_bytes(b"content")
        for coherence in Coherence:
            (base / coherence.value / "dir").mkdir(parents=True)
            (base / coherence.value / "file").write_bytes(b"content")
        table = ViewTable(os.stat(base).st_dev)
        mounts = (
            PlannedMount((), os.fsencode(base / "root"), sharing=Sharing.PRIVATE),
            PlannedMount((b"vol",), os.fsencode(base / "vol")),
            PlannedMount((b"ro",), os.fsencode(base / "vol"), readonly=True),
            PlannedMount((b"exact",), os.fsencode(base / "vol"), coherence=Coherence.EXACT),
            PlannedMount((b"ro-lease",), os.fsencode(base / "lease"), readonly=True, coherence=Coherence.LEASE),
            *(PlannedMount((b"as", os.fsencode(c.value)), os.fsencode(base / c.value), coherence=c) for c in Coherence),
        )
        for name in ("one", "two"):
            table.attach(ViewPlan(f"id of {name}", name, mounts))
        self.fd = os.memfd_create("device")
        transport = KernelTransport(table, lease_watcher=watcher)
        flags = Init.SETXATTR_EXT | Init.HAS_EXPIRE_ONLY | Init.AUTO_INVAL_DATA
        self.running: Running = transport.compose(self.fd, -1, Agreement(45, 0, flags))
        self.pid = 0
        self.reader = Reader(self.running.session)

    def send(self, opcode: int, nodeid: int, body: bytes) -> bytes | None:
        length = requests.HEADER_SIZE + len(body)
        header = requests.HEADER.pack(length, opcode, 2, nodeid, os.getuid(), os.getgid(), self.pid, 0)
        self.reader.buffer[:length] = header + body
        self.reader.parse(length)
        handler = self.running.session.handlers[opcode]
        return handler(self.reader) if handler is not None else None

    def notifications(self) -> list[bytes]:
        """Return what was sent unasked so far."""
        sent = os.pread(self.fd, 1 << 20, 0)
        found = []
        while sent:
            size = int.from_bytes(sent[:4], "little")
            found.append(sent[:size])
            sent = sent[size:]
        return found

    def lookup(self, *path: bytes) -> int:
        node = ROOT_ID
        for name in path:
            reply = self.send(Opcode.LOOKUP, node, name + b"\0")
            assert reply is not None
            node = int.from_bytes(reply[16:24], "little")
        return node

    def close(self) -> None:
        self.running.handles.close_all()
        self.running.server.leasing.close()
        self.running.locks.close()
        os.umask(self._umask)
        os.close(self.fd)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with contextlib.closing(Kernel(tmp_path)) as kernel:
        yield kernel


def test_files_have_one_node_in_all_views_and_directories_one_in_each(kernel: Kernel) -> None:
    assert kernel.lookup(b"one", b"vol", b"file") == kernel.lookup(b"two", b"vol", b"file")
    assert kernel.lookup(b"one", b"vol", b"dir") != kernel.lookup(b"two", b"vol", b"dir")
    assert kernel.lookup(b"one", b"vol", b"dir") == kernel.lookup(b"one", b"vol", b"dir")


def test_a_file_of_a_read_only_mount_is_another_node(kernel: Kernel) -> None:
    assert kernel.lookup(b"one", b"vol", b"file") != kernel.lookup(b"one", b"ro", b"file")


def test_forgetting_brings_the_table_back(kernel: Kernel) -> None:
    before = len(kernel.running.server.nodes)
    given_nodes = [kernel.lookup(b"one"), kernel.lookup(b"one", b"vol"), kernel.lookup(b"one", b"vol", b"file")]
    counts = [3, 2, 1]
    assert len(kernel.running.server.nodes) == before + 3
    for node, count in zip(given_nodes, counts, strict=True):
        kernel.send(Opcode.FORGET, node, count.to_bytes(8, "little"))
    assert len(kernel.running.server.nodes) == before


def test_memory_is_given_back_after_many_nodes_were_forgotten_and_not_after_each(
    kernel: Kernel, tmp_path: Path
) -> None:
    """To give it back takes a collection, with every request waiting."""
    nodes, directory = kernel.running.server.nodes, kernel.lookup(b"one", b"vol")
    given_nodes = []
    for number in range(5000):
        (tmp_path / f"vol/{number}").touch()
        reply = kernel.send(Opcode.LOOKUP, directory, b"%d\0" % number)
        assert reply is not None
        given_nodes.append(reply[16:24])
    for node in given_nodes:
        assert not nodes.emptied or len(nodes) < 1000
        kernel.send(Opcode.FORGET, int.from_bytes(node, "little"), (1).to_bytes(8, "little"))
    assert nodes.emptied
    nodes.emptied = False
    kernel.send(Opcode.FORGET, kernel.lookup(b"one", b"vol", b"file"), (1).to_bytes(8, "little"))
    assert not nodes.emptied


def test_node_ids_are_not_used_again(kernel: Kernel, tmp_path: Path) -> None:
    first = kernel.lookup(b"one", b"vol", b"file")
    kernel.send(Opcode.FORGET, first, (1).to_bytes(8, "little"))
    assert kernel.lookup(b"one", b"vol", b"file") > first


def test_another_file_at_the_place_is_estale(kernel: Kernel, tmp_path: Path) -> None:
    node = kernel.lookup(b"one", b"vol", b"file")
    (tmp_path / "vol/new").write_bytes(b"")
    os.replace(tmp_path / "vol/new", tmp_path / "vol/file")
    with pytest.raises(OSError, match="Stale file handle"):
        kernel.send(Opcode.GETATTR, node, bytes(16))


def test_a_place_follows_renames_of_directories_above(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "vol/dir/below").mkdir()
    (tmp_path / "vol/dir/below/f").touch()
    node = kernel.lookup(b"two", b"vol", b"dir", b"below", b"f")
    kernel.running.server.directories.close_all()
    vol = kernel.lookup(b"one", b"vol")
    kernel.lookup(b"one", b"vol", b"dir")
    kernel.send(Opcode.RENAME, vol, vol.to_bytes(8, "little") + b"dir\0moved\0")
    kernel.running.server.directories.close_all()
    assert kernel.send(Opcode.GETATTR, node, bytes(16)) is not None


def test_no_descriptor_stays_with_a_node(kernel: Kernel, tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"vol/dir/{number}").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1000):
        (tmp_path / f"vol/dir/{number}/f").touch()
        kernel.lookup(b"one", b"vol", b"dir", b"%d" % number, b"f")
    assert len(os.listdir("/proc/self/fd")) - before <= 257


def open_file(kernel: Kernel, node: int, flags: int = os.O_RDONLY) -> int:
    reply = kernel.send(Opcode.OPEN, node, flags.to_bytes(4, "little") + bytes(4))
    assert reply is not None
    return int.from_bytes(reply[16:24], "little")


def release(kernel: Kernel, node: int, handle: int) -> None:
    kernel.send(Opcode.RELEASE, node, handle.to_bytes(8, "little") + bytes(16))


def descriptors_of(path: Path) -> int:
    """Return how many descriptors this process has of a file."""
    found = 0
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(f"/proc/self/fd/{fd}") == str(path)
    return found


def test_who_only_reads_shares_a_descriptor(kernel: Kernel, tmp_path: Path) -> None:
    node = kernel.lookup(b"one", b"vol", b"file")
    handles = [open_file(kernel, node) for _ in range(3)]
    assert len(set(handles)) == 3
    assert descriptors_of(tmp_path / "vol/file") == 1
    writer = open_file(kernel, node, os.O_RDWR)
    assert descriptors_of(tmp_path / "vol/file") == 2
    for handle in (*handles, writer):
        release(kernel, node, handle)
    assert len(kernel.running.handles) == 0


def test_a_file_stays_open_for_a_moment_after_its_last_handle(kernel: Kernel, tmp_path: Path) -> None:
    node = kernel.lookup(b"one", b"vol", b"file")
    release(kernel, node, open_file(kernel, node))
    assert descriptors_of(tmp_path / "vol/file") == 1
    assert kernel.running.handles.expire()
    assert not kernel.running.handles.expire()
    assert descriptors_of(tmp_path / "vol/file") == 0


def test_a_file_that_is_forgotten_is_closed_at_once(kernel: Kernel, tmp_path: Path) -> None:
    node = kernel.lookup(b"one", b"vol", b"file")
    release(kernel, node, open_file(kernel, node))
    kernel.send(Opcode.FORGET, node, (1).to_bytes(8, "little"))
    assert descriptors_of(tmp_path / "vol/file") == 0


def test_of_the_files_that_nobody_has_open_few_stay_open(kernel: Kernel, tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"vol/dir/{number}").touch()
        node = kernel.lookup(b"one", b"vol", b"dir", b"%d" % number)
        release(kernel, node, open_file(kernel, node))
    assert sum(descriptors_of(tmp_path / f"vol/dir/{number}") for number in range(100)) <= 64


def test_who_locks_the_whole_file_gets_a_descriptor_of_its_own(kernel: Kernel, tmp_path: Path) -> None:
    node = kernel.lookup(b"one", b"vol", b"file")
    first, second = open_file(kernel, node), open_file(kernel, node)
    kernel.send(Opcode.SETLK, node, flock_of(first, fcntl.F_WRLCK))
    with pytest.raises(BlockingIOError):
        kernel.send(Opcode.SETLK, node, flock_of(second, fcntl.F_WRLCK))
    release(kernel, node, first)
    kernel.send(Opcode.SETLK, node, flock_of(second, fcntl.F_WRLCK))
    release(kernel, node, second)


def flock_of(handle: int, kind: int) -> bytes:
    return requests.BODY[Opcode.SETLK].pack(handle, 1, 0, (1 << 63) - 1, kind, 0, FUSE_LK_FLOCK)


def test_unknown_nodes_are_estale(kernel: Kernel) -> None:
    with pytest.raises(OSError, match="Stale file handle"):
        kernel.send(Opcode.GETATTR, 99, bytes(16))


def test_directory_nodes_say_which_views_have_fresh_attributes(kernel: Kernel) -> None:
    one, two = kernel.lookup(b"one", b"vol", b"dir"), kernel.lookup(b"two", b"vol", b"dir")
    kernel.send(Opcode.MKDIR, one, (0o700).to_bytes(4, "little") + bytes(4) + b"new\0")
    assert [message[16:24] for message in kernel.notifications()] == [two.to_bytes(8, "little")]
    node = kernel.running.server.nodes.node(one)
    assert isinstance(node, DirectoryNode)
    assert node.directory is not None
    assert two not in node.directory.fresh


TICK = (0, 0, 0, 1_000_000)
NOTHING = (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((b"as", b"strict"), TICK),
        ((b"as", b"lease"), TICK),
        ((b"as", b"exact"), NOTHING),
        ((b"ro",), NOTHING),
        ((), (1 << 30, 1 << 30, 0, 0)),
    ],
)
def test_how_long_the_kernel_keeps_a_file(
    kernel: Kernel, place: tuple[bytes, ...], expected: tuple[int, int, int, int]
) -> None:
    reply = kernel.send(Opcode.LOOKUP, kernel.lookup(b"one", *place), b"file\0")
    assert reply is not None
    assert struct.unpack("<QQII", reply[32:56]) == expected
    reply = kernel.send(Opcode.GETATTR, int.from_bytes(reply[16:24], "little"), bytes(16))
    assert reply is not None
    assert struct.unpack("<QI", reply[16:28]) == (expected[1], expected[3])


def test_a_file_that_an_exact_mount_shows_is_exact_in_all_views(kernel: Kernel) -> None:
    def timeouts(view: bytes, mount: bytes, name: bytes) -> tuple[int, ...]:
        reply = kernel.send(Opcode.LOOKUP, kernel.lookup(view, mount), name + b"\0")
        assert reply is not None
        return struct.unpack("<QQII", reply[32:56])

    assert timeouts(b"one", b"vol", b"file") == TICK
    assert timeouts(b"two", b"exact", b"file") == NOTHING
    assert timeouts(b"one", b"vol", b"file") == NOTHING
    reply = kernel.send(Opcode.GETATTR, kernel.lookup(b"one", b"vol", b"file"), bytes(16))
    assert reply is not None
    assert struct.unpack("<QI", reply[16:28]) == (0, 0)
    assert timeouts(b"one", b"vol", b"dir") == TICK


@pytest.mark.parametrize(("choice", "expected"), [("strict", TICK), ("lease", TICK), ("exact", NOTHING)])
def test_how_long_the_kernel_keeps_a_directory(
    kernel: Kernel, choice: str, expected: tuple[int, int, int, int]
) -> None:
    reply = kernel.send(Opcode.LOOKUP, kernel.lookup(b"one", b"as", choice.encode()), b"dir\0")
    assert reply is not None
    assert struct.unpack("<QQII", reply[32:56]) == expected
    node = kernel.running.server.nodes.node(int.from_bytes(reply[16:24], "little"))
    assert node.mount.coherence is Coherence(choice)


@pytest.mark.parametrize("choice", [b"strict", b"lease"])
@pytest.mark.parametrize("replaced", [True, False])
def test_an_open_comes_too_late_once_and_not_twice(
    kernel: Kernel, tmp_path: Path, choice: bytes, replaced: bool
) -> None:
    source = tmp_path / choice.decode() / "file"
    kernel.pid = os.getpid()

    def disturb(content: bytes) -> None:
        source.unlink()
        if replaced:
            source.write_bytes(content)

    node = kernel.lookup(b"one", b"as", choice, b"file")
    disturb(b"first")
    with pytest.raises(OSError, match="Stale"):
        open_file(kernel, node)
    source.unlink(missing_ok=True)
    source.write_bytes(b"second")
    node = kernel.lookup(b"one", b"as", choice, b"file")
    disturb(b"third")
    handle = open_file(kernel, node)
    assert os.pread(kernel.running.handles.file(handle).fd, 100, 0) == b"second"
    release(kernel, node, handle)
    late = kernel.running.server.misses.late
    assert late == {}


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(OPCODES), st.integers(0, 12), st.binary(max_size=120) | st.just(b"name\0other\0")),
        max_size=12,
    )
)
def test_any_requests_are_answered_or_fail_as_expected(wanted: list[tuple[int, int, bytes]]) -> None:
    base = Path(tempfile.mkdtemp())
    kernel = Kernel(base)
    try:
        kernel.lookup(b"one", b"vol", b"file")
        kernel.lookup(b"two", b"vol", b"dir")
        for opcode, nodeid, body in wanted:
            body = body.ljust(requests.BODY[opcode].size if opcode in requests.BODY else 0, b"\0")
            try:
                reply = kernel.send(opcode, nodeid, body)
            except (OSError, ProtocolError):
                continue
            if reply is not None:
                assert int.from_bytes(reply[:4], "little") == len(reply)
                assert reply[8:16] == (2).to_bytes(8, "little")
    finally:
        kernel.close()
        shutil.rmtree(base)
