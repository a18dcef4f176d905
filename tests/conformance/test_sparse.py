"""Holes and allocation."""

from __future__ import annotations

import errno
import os

import pytest

from tests.conformance.targets import Target
from volfuse.sys.fallocate import (
    FALLOC_FL_COLLAPSE_RANGE,
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
    fallocate,
)


@pytest.fixture
def fd(target: Target):
    opened = os.open(target.path / "f", os.O_CREAT | os.O_RDWR)
    yield opened
    os.close(opened)


def test_a_hole_takes_no_space_and_reads_as_zeros(target: Target, fd: int) -> None:
    os.pwrite(fd, b"end", 1 << 20)
    assert os.pread(fd, 4, 0) == b"\0\0\0\0"
    status = os.stat(target.other / "f")
    assert (status.st_size, status.st_blocks < 64) == ((1 << 20) + 3, True)


@pytest.mark.gap("fusepy-shared", "fusepy-private", reason="libfuse 2 has no LSEEK: a file looks like data throughout")
def test_holes_can_be_found(target: Target, fd: int) -> None:
    os.pwrite(fd, b"end", 1 << 20)
    assert os.lseek(fd, 0, os.SEEK_DATA) == 1 << 20
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 0


def test_seeking_data_past_the_end_is_enxio(target: Target, fd: int) -> None:
    os.write(fd, b"data")
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 4
    with pytest.raises(OSError) as caught:
        os.lseek(fd, 10, os.SEEK_DATA)
    assert caught.value.errno == errno.ENXIO


def test_allocation_extends_the_file(target: Target, fd: int) -> None:
    fallocate(fd, 0, 0, 65536)
    status = os.stat(target.other / "f")
    assert (status.st_size, status.st_blocks >= 128) == (65536, True)


def test_allocation_can_keep_the_size(target: Target, fd: int) -> None:
    fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536)
    status = os.stat(target.other / "f")
    assert (status.st_size, status.st_blocks >= 128) == (0, True)


@pytest.mark.parametrize("mode", [FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE])
def test_a_range_can_be_emptied(target: Target, fd: int, mode: int) -> None:
    os.write(fd, b"x" * 16384)
    fallocate(fd, mode, 4096, 4096)
    assert (target.host / "f").read_bytes() == b"x" * 4096 + bytes(4096) + b"x" * 8192
    assert os.pread(fd, 16384, 0) == b"x" * 4096 + bytes(4096) + b"x" * 8192


@pytest.mark.gap(
    "fusepy-shared", "fusepy-private", "kernel-shared", "kernel-private", reason="the kernel's FUSE knows no collapsing"
)
def test_a_range_can_be_taken_out(target: Target, fd: int) -> None:
    os.write(fd, b"a" * 4096 + b"b" * 4096)
    fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096)
    assert os.pread(fd, 8192, 0) == b"b" * 4096
