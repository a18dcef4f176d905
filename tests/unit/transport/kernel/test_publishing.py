"""Publishing where the daemon carries the data: it counts what is written. The kernel's part is played by hand."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.transport.kernel.test_handlers import Kernel
from volfuse.core.feed import Done
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.opcodes import Opcode


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with contextlib.closing(Kernel(tmp_path)) as kernel:
        yield kernel


def published(kernel: Kernel) -> list[Done]:
    return [Done._make(entry) for entry in kernel.running.server.views.table.changes.take()]


def write(kernel: Kernel, node: int, handle: int, data: bytes) -> None:
    head = LAYOUTS["fuse_write_in"].struct.pack(handle, 0, len(data), 0, 0, 0)
    kernel.send(Opcode.WRITE, node, head + data)


def opened(kernel: Kernel, node: int, flags: int) -> int:
    reply = kernel.send(Opcode.OPEN, node, LAYOUTS["fuse_open_in"].struct.pack(flags, 0))
    assert reply is not None
    return int.from_bytes(reply[16:24], "little")


def release(kernel: Kernel, node: int, handle: int) -> None:
    kernel.send(Opcode.RELEASE, node, LAYOUTS["fuse_release_in"].struct.pack(handle, 0, 0, 0))


def test_bytes_are_counted_for_each_handle(kernel: Kernel) -> None:
    one = kernel.lookup(b"one", b"vol", b"file")
    first = opened(kernel, one, os.O_WRONLY)
    kernel.lookup(b"two", b"vol", b"file")
    second = opened(kernel, one, os.O_RDWR)
    idle = opened(kernel, one, os.O_WRONLY)
    write(kernel, one, first, b"12345")
    write(kernel, one, second, b"1")
    write(kernel, one, first, b"123")
    for handle in (idle, second, first):
        release(kernel, one, handle)
    assert [(done.through.container, done.kind, done.written, done.size) for done in published(kernel)] == [
        ("id of two", "write", 1, 7),
        ("id of one", "write", 8, 7),
    ]


def test_a_read_only_handle_is_no_writer(kernel: Kernel) -> None:
    node = kernel.lookup(b"one", b"vol", b"file")
    handle = opened(kernel, node, os.O_RDONLY)
    assert all(handle.opener is None for handle in kernel.running.handles.files.values())
    release(kernel, node, handle)
    assert published(kernel) == []
