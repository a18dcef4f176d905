"""Replies and notifications, byte for byte."""

from __future__ import annotations

import os

import pytest

from volfuse.transport.kernel.wire import notifications, replies


def test_an_error_is_negated() -> None:
    assert replies.error(0x1122, 2) == bytes.fromhex("10000000 feffffff 2211000000000000")


def test_success_without_more() -> None:
    assert replies.error(4, 0) == bytes.fromhex("10000000 00000000 0400000000000000")


def test_payload() -> None:
    assert replies.payload(4, b"abc") == bytes.fromhex("13000000 00000000 0400000000000000 616263")


@pytest.mark.parametrize("name", [b"a", b"1234567", b"12345678", b"123456789", b"x" * 255])
def test_entries_are_padded_to_eight_bytes(name: bytes) -> None:
    entry = replies.dirent(7, 9, 4, name)
    assert len(entry) == 24 + (len(name) + 7) // 8 * 8
    assert entry[:24] == (7).to_bytes(8, "little") + (9).to_bytes(8, "little") + len(name).to_bytes(4, "little") + (
        4
    ).to_bytes(4, "little")
    assert entry[24:].rstrip(b"\0") == name


def test_sizes_of_replies() -> None:
    assert replies.ENTRY_REPLY.size == 16 + 128
    assert replies.ATTR_REPLY.size == 16 + 104
    assert replies.CREATE_REPLY.size == 16 + 128 + 16
    assert replies.STATX_REPLY.size == 16 + 288


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
