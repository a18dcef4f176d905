"""Taking multiplexed streams apart."""

from __future__ import annotations

import io
import os
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.cli.failure import CommandFailed
from volfuse.cli.frames import Frames, Sink


class Kept:
    """Keeps what it is fed."""

    def __init__(self) -> None:
        self.data = b""

    def feed(self, chunk: memoryview) -> None:
        self.data += chunk


def _frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.binary(max_size=20))), st.data())
def test_streams_are_whole_however_frames_are_cut(frames: list[tuple[int, bytes]], data: st.DataObject) -> None:
    out, err = Kept(), Kept()
    wire = b"".join(_frame(*frame) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    split = Frames(out, err)
    for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        split.feed(memoryview(wire)[begin:end])
    assert out.data == b"".join(text for stream, text in frames if stream in (0, 1))
    assert err.data == b"".join(text for stream, text in frames if stream == 2)


def test_part_of_a_frame_is_passed_on_at_once() -> None:
    out = Kept()
    Frames(out, None).feed(memoryview(_frame(1, b"prompt> and more")[:16]))
    assert out.data == b"prompt> "


def test_unwanted_stream_is_dropped() -> None:
    out = Kept()
    Frames(out, None).feed(memoryview(_frame(2, b"no") + _frame(1, b"yes")))
    assert out.data == b"yes"


def test_fault_of_the_daemon_in_pieces() -> None:
    split = Frames(None, None)
    wire = memoryview(_frame(3, b"disk is full"))
    split.feed(wire[:12])
    with pytest.raises(CommandFailed, match=r"^error from daemon in stream: disk is full$"):
        split.feed(wire[12:])


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(CommandFailed, match=r"^Unrecognized input header: 71$"):
        Frames(None, None).feed(memoryview(b"GET / HTTP/1.1\r\n"))


def test_sink_waits_for_a_pipe_that_does_not_block() -> None:
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    data = os.urandom(1 << 20)
    received = []
    with os.fdopen(read_fd, "rb") as source, io.TextIOWrapper(os.fdopen(write_fd, "wb")) as target:
        reader = threading.Thread(target=lambda: received.append(source.read(len(data))))
        reader.start()
        Sink(target).feed(memoryview(data))
        reader.join()
    assert received == [data]
