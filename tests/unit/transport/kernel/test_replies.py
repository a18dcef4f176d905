"""Replies and notifications, byte for byte."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from volfuse.sys.statx import Statx
from volfuse.transport.kernel.wire import encoding, notifications, replies
from volfuse.transport.kernel.wire.layouts import LAYOUTS


def test_an_error_is_negated() -> None:
    assert encoding.error(0x1122, 2) == bytes.fromhex("10000000 feffffff 2211000000000000")


def test_success_without_more() -> None:
    assert encoding.error(4, 0) == bytes.fromhex("10000000 00000000 0400000000000000")


def test_payload() -> None:
    assert encoding.reply(4, b"abc") == bytes.fromhex("13000000 00000000 0400000000000000 616263")


@pytest.mark.parametrize("name", [b"a", b"1234567", b"12345678", b"123456789", b"x" * 255])
def test_entries_are_padded_to_eight_bytes(name: bytes) -> None:
    entry = replies.dirent(7, 9, 4, name)
    assert len(entry) == 24 + (len(name) + 7) // 8 * 8
    assert entry[:24] == (7).to_bytes(8, "little") + (9).to_bytes(8, "little") + len(name).to_bytes(4, "little") + (
        4
    ).to_bytes(4, "little")
    assert entry[24:].rstrip(b"\0") == name


def test_attributes_are_those_of_stat(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    os.utime(file, ns=(1_234_567_890_123_456_789, -1_000_000_001))
    status = os.stat(file)
    found = Statx().at(-100, os.fsencode(file))
    names = LAYOUTS["fuse_attr"].offsets()
    attr = dict(zip(names, LAYOUTS["fuse_attr"].struct.unpack(encoding.encode_attr(7, found.buffer)), strict=True))
    assert attr["ino"] == 7
    assert (attr["size"], attr["blocks"]) == (status.st_size, status.st_blocks)
    for kind in ("atime", "mtime", "ctime"):
        assert attr[kind] * 10**9 + attr[f"{kind}nsec"] == getattr(status, f"st_{kind}_ns")
    assert (attr["mode"], attr["nlink"], attr["uid"], attr["gid"]) == (status.st_mode, 1, status.st_uid, status.st_gid)
    assert (attr["rdev"], attr["blksize"], attr["flags"]) == (0, status.st_blksize, 0)


def test_a_device_keeps_its_number() -> None:
    found = Statx().at(-100, b"/dev/null")
    assert LAYOUTS["fuse_attr"].struct.unpack(encoding.encode_attr(7, found.buffer))[13] == 0x103


def test_an_entry_is_a_node_timeouts_and_attributes() -> None:
    found = Statx().at(-100, b"/")
    timeouts = bytes(range(24))
    entry = encoding.encode_entry(0x1122334455667788, timeouts, 9, found.buffer)
    assert entry == (0x1122334455667788).to_bytes(8, "little") + bytes(8) + timeouts + encoding.encode_attr(
        9, found.buffer
    )
    assert len(entry) == LAYOUTS["fuse_entry_out"].size


@pytest.mark.parametrize(
    "number", [os.makedev(1, 3), os.makedev(8, 0), os.makedev(259, 70000), os.makedev(0xFFF, 0xFFFFF)]
)
def test_device_numbers_come_back(number: int) -> None:
    major, minor = os.major(number), os.minor(number)
    assert replies.decode_device(replies.encode_device(major, minor)) == (major, minor)


def test_null_has_the_number_that_the_kernel_gives_it() -> None:
    assert replies.encode_device(1, 3) == 0x103


def test_invalidating_attributes_leaves_pages_alone() -> None:
    assert notifications.inval_attributes(5) == bytes.fromhex(
        "28000000 02000000 0000000000000000 0500000000000000 ffffffffffffffff 0000000000000000"
    )


def test_invalidating_a_name() -> None:
    assert notifications.inval_entry(1, b"ab", 1) == bytes.fromhex(
        "23000000 03000000 0000000000000000 0100000000000000 02000000 01000000 616200"
    )
