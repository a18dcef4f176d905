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


def parsed(raw: bytes) -> requests.Request:
    """Return a request as it is after reading it."""
    request = requests.Request(max(len(raw), 1))
    request.buffer[: len(raw)] = raw
    request.parse(len(raw))
    return request


def bare(raw: bytes) -> requests.Request:
    """Return a request of which only the body is there, from its beginning."""
    request = requests.Request(max(len(raw), 1))
    request.buffer[: len(raw)] = raw
    request.end = len(raw)
    return request


def tail_at(name: str) -> int:
    """Return where what follows the fixed struct begins."""
    opcode = Opcode[name]
    return BODY_AT + (requests.BODY[opcode].size if opcode in requests.BODY else 0)


def name_of(name: str) -> bytes:
    return parsed(RECORDED[name]).name(tail_at(name))


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_recorded_request_is_whole(name: str) -> None:
    raw = RECORDED[name]
    request = parsed(raw)
    expected = requests.HEADER.unpack_from(raw)
    assert (len(raw), request.opcode) == (expected[0], Opcode[name])
    assert (request.unique, request.nodeid, request.uid, request.gid, request.pid) == expected[2:7]
    assert request.unique % 2 == 0
    assert request.end == len(raw)


def test_names_of_recorded_requests() -> None:
    assert name_of("LOOKUP") in (b"one", b"vol", b"dir")
    assert name_of("CREATE") == b"file"
    assert name_of("MKDIR") == b"sub"
    assert name_of("LINK") == b"hard"
    assert parsed(RECORDED["RENAME"]).names(tail_at("RENAME")) == (b"hard", b"moved")
    assert parsed(RECORDED["RENAME2"]).names(tail_at("RENAME2")) == (b"moved", b"hard")
    assert parsed(RECORDED["SYMLINK"]).name_and_value(tail_at("SYMLINK")) == (b"link", b"target")


def test_bodies_of_recorded_requests() -> None:
    assert body("MKDIR")[0] & 0o7777 == 0o750
    assert body("CREATE")[1] & 0o7777 == 0o640
    assert body("RENAME2")[1] == 1
    assert body("SETXATTR")[:2] == (5, 0)
    assert body("WRITE")[1:3] == (0, 7)
    assert bytes(parsed(RECORDED["WRITE"]).payload(tail_at("WRITE"), 7)) == b"content"
    _, _, start, end, kind, _, flags = body("SETLK")
    assert (start, end, kind, flags) == (5, 14, 1, 0)  # lockf(…, 10, 5)
    assert body("FALLOCATE")[1:] == (0, 4096, 0)


def test_batch_of_forgets() -> None:
    (count,) = requests.BODY[Opcode.BATCH_FORGET].unpack_from(RECORDED["BATCH_FORGET"], BODY_AT)
    found = parsed(RECORDED["BATCH_FORGET"]).forgets(tail_at("BATCH_FORGET"), count)
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
        bare(raw).name(0)
    assert str(caught.value) == message


def test_names_may_be_any_other_bytes() -> None:
    assert bare(b"\xff\xfe \n\0").name(0) == b"\xff\xfe \n"


def test_too_short_for_its_opcode() -> None:
    whole = requests.HEADER.pack(79, Opcode.WRITE, 2, 1, 0, 0, 0, 0) + bytes(39)
    with pytest.raises(ProtocolError, match="opcode 16: 79 bytes are too few"):
        parsed(whole)
    extended = requests.HEADER.pack(80, Opcode.WRITE, 2, 1, 0, 0, 0, 1) + bytes(40)
    with pytest.raises(ProtocolError, match="opcode 16: 80 bytes are too few"):
        parsed(extended)


def test_a_broken_request_has_an_id_to_answer_to() -> None:
    request = requests.Request(100)
    request.buffer[:40] = requests.HEADER.pack(41, Opcode.LOOKUP, 6, 1, 0, 0, 0, 0)
    with pytest.raises(ProtocolError, match="request says 41 bytes and has 40"):
        request.parse(40)
    assert request.unique == 6
    with pytest.raises(ProtocolError, match="request of 39 bytes"):
        request.parse(39)
    assert request.unique == 0


@given(st.binary(max_size=300), st.integers(0, 1 << 16))
def test_any_bytes_are_a_request_or_a_protocol_error(raw: bytes, count: int) -> None:
    request = bare(raw)
    for read in (
        lambda: request.name(0),
        lambda: request.names(0),
        lambda: request.value(0),
        lambda: request.name_and_value(0),
        lambda: request.payload(0, count),
        lambda: request.forgets(0, count),
        lambda: decode_offer(request.buffer, len(raw)),
        lambda: parsed(raw),
    ):
        try:
            read()
        except ProtocolError:
            continue
