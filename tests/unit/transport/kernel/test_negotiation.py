"""INIT: versions and flags that are agreed on."""

from __future__ import annotations

import struct

import pytest

from volfuse.errors import Unavailable
from volfuse.transport.kernel.negotiation import Offer, agree, encode_agreement
from volfuse.transport.kernel.wire.flags import Init

EVERYTHING = Init((1 << 43) - 1) & ~Init(1 << 31)


def test_the_lower_minor_is_spoken() -> None:
    assert agree(Offer(7, 60, 0, EVERYTHING), passthrough=True).minor == 45
    assert agree(Offer(7, 31, 0, EVERYTHING), passthrough=True).minor == 31


@pytest.mark.parametrize(("major", "minor"), [(6, 45), (7, 30), (8, 0)])
def test_what_cannot_be_spoken(major: int, minor: int) -> None:
    with pytest.raises(Unavailable) as caught:
        agree(Offer(major, minor, 0, EVERYTHING), passthrough=True)
    assert str(caught.value) == f"the kernel speaks FUSE {major}.{minor}, 7.31 or newer is needed"


def test_flags_that_are_not_offered_or_too_new_are_not_asked_for() -> None:
    assert agree(Offer(7, 45, 0, Init.MAX_PAGES), passthrough=True).flags == Init.MAX_PAGES
    old = agree(Offer(7, 31, 0, EVERYTHING), passthrough=True)
    assert not old.flags & (Init.PASSTHROUGH | Init.SETXATTR_EXT | Init.HANDLE_KILLPRIV_V2 | Init.INIT_EXT)
    assert not old.passthrough


@pytest.mark.parametrize(
    "flag", [Init.WRITEBACK_CACHE, Init.NO_OPEN_SUPPORT, Init.EXPORT_SUPPORT, Init.CACHE_SYMLINKS, Init.HANDLE_KILLPRIV]
)
def test_flags_that_would_break_coherence_are_never_asked_for(flag: Init) -> None:
    assert flag not in agree(Offer(7, 45, 0, EVERYTHING), passthrough=True).flags


def test_the_reply_has_the_flags_in_two_words_and_a_stack_depth_with_passthrough() -> None:
    reply = encode_agreement(2, agree(Offer(7, 45, 131072, EVERYTHING), passthrough=True))
    assert len(reply) == 16 + 64
    major, minor, readahead, low = struct.unpack_from("<IIII", reply, 16)
    assert (major, minor, readahead) == (7, 45, 131072)
    high, depth = struct.unpack_from("<II", reply, 16 + 32)
    assert low & 1 << 30
    assert high & 1 << 5
    assert depth == 2


def test_no_stack_depth_without_passthrough() -> None:
    reply = encode_agreement(2, agree(Offer(7, 45, 0, EVERYTHING), passthrough=False))
    high, depth = struct.unpack_from("<II", reply, 16 + 32)
    assert (high & 1 << 5, depth) == (0, 0)
