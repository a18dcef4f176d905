"""Leases in the handlers, without a mount: orders of events that a kernel shows once in a million."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.transport.kernel.test_handlers import Kernel
from volfuse.core.watching import CHANGES
from volfuse.fs.watching import Listener
from volfuse.transport.kernel import session
from volfuse.transport.kernel.nodes import DirectoryNode, File
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Notify, Opcode

ENDLESS_S = 1 << 30
LEASE = (b"one", b"as", b"lease")
OTHER = (b"two", b"as", b"lease")
SETATTR = LAYOUTS["fuse_setattr_in"].struct
FATTR_MODE = 1

interpreted = pytest.mark.skipif(session.__file__.endswith(".so"), reason="a compiled class cannot be patched")


class Watching:
    """A watcher that hears nothing; how many directories it watches."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, _fd: int, _listener: Listener, _what: int = CHANGES) -> Watching:
        self.count += 1
        return self

    def close(self) -> None:
        self.count -= 1


@pytest.fixture
def watching() -> Watching:
    return Watching()


@pytest.fixture
def kernel(tmp_path: Path, watching: Watching) -> Iterator[Kernel]:
    with contextlib.closing(Kernel(tmp_path, watching)) as kernel:
        kernel.pid = os.getpid()
        yield kernel


def looked_up(kernel: Kernel, parent: int, name: bytes) -> tuple[int, int, int]:
    """Return node, and for how many seconds name and attributes may be kept."""
    reply = kernel.send(Opcode.LOOKUP, parent, name + b"\0")
    assert reply is not None
    node, _, entry_s, attr_s = struct.unpack("<QQQQ", reply[16:48])
    return node, entry_s, attr_s


def forget(kernel: Kernel, node: int, count: int = 1) -> None:
    kernel.send(Opcode.FORGET, node, count.to_bytes(8, "little"))


def expired(kernel: Kernel) -> list[bytes]:
    """Return the names that were expired."""
    return [
        message[32:-1]
        for message in kernel.notifications()
        if int.from_bytes(message[4:8], "little") == Notify.INVAL_ENTRY
    ]


def test_names_and_attributes_are_granted(kernel: Kernel) -> None:
    assert looked_up(kernel, kernel.lookup(*LEASE), b"file")[1:] == (ENDLESS_S, ENDLESS_S)
    node, *seconds = looked_up(kernel, kernel.lookup(*LEASE), b"dir")
    assert seconds == [ENDLESS_S, 0]  # it is watched once it is used itself
    kernel.send(Opcode.GETATTR, node, bytes(16))
    assert looked_up(kernel, kernel.lookup(*LEASE), b"dir")[1:] == (ENDLESS_S, ENDLESS_S)


def test_a_read_only_mount_of_the_source_is_granted_the_same_name(kernel: Kernel) -> None:
    shown, readonly = kernel.lookup(*LEASE), kernel.lookup(b"two", b"ro-lease")
    file, *seconds = looked_up(kernel, shown, b"file")
    same, *in_other = looked_up(kernel, readonly, b"file")
    assert same != file
    assert (seconds[0], in_other[0]) == (ENDLESS_S, ENDLESS_S)
    assert expired(kernel) == []
    forget(kernel, same)
    kernel.send(Opcode.UNLINK, kernel.lookup(*OTHER), b"file\0")
    assert b"file" in expired(kernel)


def test_nothing_is_granted_to_who_is_not_known(kernel: Kernel) -> None:
    kernel.pid = 0
    assert looked_up(kernel, kernel.lookup(*LEASE), b"file")[1] == 0


def test_a_watch_ends_with_the_last_node(kernel: Kernel, watching: Watching) -> None:
    first, second = kernel.lookup(*LEASE, b"dir"), kernel.lookup(*OTHER, b"dir")
    kernel.send(Opcode.GETATTR, first, bytes(16))
    before = watching.count
    forget(kernel, first)
    assert watching.count == before
    forget(kernel, second)
    assert watching.count == before - 1


@interpreted
@pytest.mark.parametrize("name", [b"file", b"dir"])
def test_a_name_that_is_given_again_while_its_node_is_forgotten_stays_granted(kernel: Kernel, name: bytes) -> None:
    parent = kernel.lookup(*LEASE)
    server = kernel.running.server
    number, *_ = looked_up(kernel, parent, name)
    take_out = server.nodes.forget

    def then_look_up(gone: int, count: int) -> File | DirectoryNode | None:
        node = take_out(gone, count)
        looked_up(kernel, parent, name)
        return node

    server.nodes.forget = then_look_up  # type: ignore[method-assign]
    forget(kernel, number)
    server.nodes.forget = take_out  # type: ignore[method-assign]
    kernel.send(Opcode.RMDIR if name == b"dir" else Opcode.UNLINK, kernel.lookup(*OTHER), name + b"\0")
    assert expired(kernel) == [name]


def test_the_reply_to_a_change_of_attributes_is_not_kept(kernel: Kernel) -> None:
    """Kernels before 6.16 take it in even if they were told to ask again since."""
    for node in (kernel.lookup(*LEASE, b"file"), kernel.lookup(*LEASE, b"dir")):
        kernel.send(Opcode.GETATTR, node, bytes(16))
        body = SETATTR.pack(FATTR_MODE, *[0] * 9, 0o700, 0, 0)
        reply = kernel.send(Opcode.SETATTR, node, body)
        assert reply is not None
        assert struct.unpack("<Q", reply[16:24]) == (0,)


@interpreted
def test_a_new_node_that_the_kernel_has_not_taken_in_is_told_of_until_it_has(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = kernel.lookup(*LEASE, b"dir")
    told = []

    def send(_message: bytes) -> None:
        told.append(_message)
        if len(told) < 3:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(kernel.running.session, "send", send)
    kernel.running.server.leasing.drop_node(node)
    assert len(told) == 3
    forget(kernel, node)
    told.clear()
    kernel.running.server.leasing.drop_node(node)
    assert len(told) == 1


def test_attributes_of_what_is_open_for_writing_or_may_be_mapped_are_not_kept(kernel: Kernel) -> None:
    parent = kernel.lookup(*LEASE)
    node, _, attr_s = looked_up(kernel, parent, b"file")
    assert attr_s == ENDLESS_S
    for flags, after in ((os.O_WRONLY, ENDLESS_S), (os.O_RDWR, 0)):
        reply = kernel.send(Opcode.OPEN, node, struct.pack("<II", flags, 0))
        assert reply is not None
        handle = int.from_bytes(reply[16:24], "little")
        assert looked_up(kernel, parent, b"file")[2] == 0
        kernel.send(Opcode.RELEASE, node, LAYOUTS["fuse_release_in"].struct.pack(handle, 0, 0, 0))
        assert looked_up(kernel, parent, b"file")[2] == after
