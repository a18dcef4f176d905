"""Requests as the kernel sent them (Linux 6.18, `recorded.json`), and bytes that it never sends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.transport.kernel.negotiation import decode_offer
from volfuse.transport.kernel.wire import requests
from volfuse.transport.kernel.wire.errors import ProtocolError
from volfuse.transport.kernel.wire.flags import Init
from volfuse.transport.kernel.wire.opcodes import Opcode

RECORDED = {
    name: bytes.fromhex(text)
    for name, text in json.loads(Path(__file__).with_name("recorded.json").read_text()).items()
}
BODY_AT = requests.HEADER_SIZE


def body(name: str) -> tuple[int, ...]:
    return requests.BODY[Opcode[name]].unpack_from(RECORDED[name], BODY_AT)


def tail(name: str, *, skip: int = 0) -> tuple[bytearray, int, int]:
    raw = bytearray(RECORDED[name])
    return raw, BODY_AT + requests.BODY_SIZE[Opcode[name]] + skip, len(raw)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_recorded_request_is_whole(name: str) -> None:
    raw = bytearray(RECORDED[name])
    length, opcode, unique, _, _, _, _, extensions = requests.header(raw, len(raw))
    assert (length, opcode) == (len(raw), Opcode[name])
    assert unique % 2 == 0
    assert requests.check(opcode, length, extensions) == len(raw)


def test_names_of_recorded_requests() -> None:
    assert requests.name_at(*tail("LOOKUP")) in (b"one", b"vol", b"dir")
    assert requests.name_at(*tail("CREATE")) == b"file"
    assert requests.name_at(*tail("MKDIR")) == b"sub"
    assert requests.name_at(*tail("LINK")) == b"hard"
    assert requests.names_at(*tail("RENAME")) == (b"hard", b"moved")
    assert requests.names_at(*tail("RENAME2")) == (b"moved", b"hard")
    assert requests.names_at(*tail("SYMLINK")) == (b"link", b"target")


def test_bodies_of_recorded_requests() -> None:
    assert body("MKDIR")[0] & 0o7777 == 0o750
    assert body("CREATE")[1] & 0o7777 == 0o640
    assert body("RENAME2")[1] == 1
    assert body("SETXATTR")[:2] == (5, 0)
    assert body("WRITE")[1:3] == (0, 7)
    assert bytes(requests.payload_at(*tail("WRITE"), 7)) == b"content"
    _, _, start, end, kind, _, flags = body("SETLK")
    assert (start, end, kind, flags) == (5, 14, 1, 0)  # lockf(…, 10, 5)
    assert body("FALLOCATE")[1:] == (0, 4096, 0)


def test_batch_of_forgets() -> None:
    (count,) = requests.BODY[Opcode.BATCH_FORGET].unpack_from(RECORDED["BATCH_FORGET"], BODY_AT)
    found = requests.forgets_at(*tail("BATCH_FORGET"), count)
    assert len(found) == count
    assert all(node > 1 and lookups > 0 for node, lookups in found)


def test_init_offers_a_version_and_flags() -> None:
    raw = RECORDED["INIT"]
    offer = decode_offer(bytearray(raw), len(raw))
    assert (offer.major, offer.minor) == (7, 45)
    assert Init.PASSTHROUGH | Init.INIT_EXT in offer.flags


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\0", "not a name: b''"),
        (b"a", "not a name: b''"),
        (b"ab", "not a name: b'a'"),
        (b"a/b\0", "not a name: b'a/b'"),
        (b"a\0b\0", "not a name: b'a\\x00b'"),
        (b".\0", "not a name: b'.'"),
        (b"..\0", "not a name: b'..'"),
    ],
)
def test_what_is_no_name(raw: bytes, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        requests.name_at(bytearray(raw), 0, len(raw))
    assert str(caught.value) == message


def test_names_may_be_any_other_bytes() -> None:
    assert requests.name_at(bytearray(b"\xff\xfe \n\0"), 0, 5) == b"\xff\xfe \n"


def test_too_short_for_its_opcode() -> None:
    with pytest.raises(ProtocolError, match="opcode 16: 79 bytes are too few"):
        requests.check(Opcode.WRITE, 79, 0)
    with pytest.raises(ProtocolError, match="opcode 16: 80 bytes are too few"):
        requests.check(Opcode.WRITE, 80, 1)


@given(st.binary(max_size=300), st.integers(0, 1 << 16))
def test_any_bytes_are_a_request_or_a_protocol_error(raw: bytes, count: int) -> None:
    buffer = bytearray(raw)
    for read in (
        lambda: requests.header(buffer, len(raw)),
        lambda: requests.name_at(buffer, 0, len(raw)) if raw else None,
        lambda: requests.names_at(buffer, 0, len(raw)),
        lambda: requests.value_at(buffer, 0, len(raw)),
        lambda: requests.payload_at(buffer, 0, len(raw), count),
        lambda: requests.forgets_at(buffer, 0, len(raw), count),
        lambda: decode_offer(buffer, len(raw)),
    ):
        try:
            read()
        except ProtocolError:
            continue
