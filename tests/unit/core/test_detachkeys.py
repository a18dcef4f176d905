"""The keys that detach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.core.detachkeys import DEFAULT_KEYS, KeyWatch, parse_keys
from volfuse.errors import InvalidSpec


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", DEFAULT_KEYS),
        ("a", b"a"),
        ("a,b,ctrl-a", b"ab\x01"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("DEL", b"\x7f"),
    ],
)
def test_keys(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["", "ctrl-", "ctrl-A", "abc", "a,", "shift-a"])
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^Unknown character: "):
        parse_keys(text)


@pytest.mark.parametrize(
    ("typed", "passed"),
    [
        ([b"abc"], [(b"abc", False)]),
        ([b"\x10\x11"], [(b"", True)]),
        ([b"a\x10", b"\x11b"], [(b"a", False), (b"", True)]),
        ([b"a\x10", b"b"], [(b"a", False), (b"\x10b", False)]),
        ([b"\x10\x10\x11"], [(b"\x10\x10\x11", False)]),
        ([b"\x10", b"\x10", b"\x10\x11"], [(b"", False), (b"\x10\x10", False), (b"", True)]),
        ([b"x\x10\x11y"], [(b"x", True)]),
        ([b"\x11\x10"], [(b"\x11", False)]),
    ],
)
def test_first_key_is_held_back(typed: list[bytes], passed: list[tuple[bytes, bool]]) -> None:
    watch = KeyWatch(DEFAULT_KEYS)
    assert [watch.feed(keys) for keys in typed] == passed


@given(st.lists(st.binary(max_size=5)))
def test_input_without_the_first_key_passes_unchanged(chunks):
    chunks = [chunk.replace(b"\x10", b"") for chunk in chunks]
    find = KeyWatch(DEFAULT_KEYS)
    assert [find.feed(chunk) for chunk in chunks] == [(chunk, False) for chunk in chunks]
