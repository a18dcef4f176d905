"""The detach keys of a request."""

from __future__ import annotations

import pytest

from volfuse.api.sessions import detach_keys
from volfuse.errors import InvalidSpec


@pytest.mark.parametrize(("text", "keys"), [("", b"\x10\x11"), ("ctrl-p,ctrl-q", b"\x10\x11"), ("ctrl-@,x", b"\x00x")])
def test_detach_keys(text, keys):
    assert detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "ctrl-p,"])
def test_bad_detach_keys_are_named(text):
    with pytest.raises(InvalidSpec, match=rf"^Invalid detach keys \({text}\) provided: Unknown character"):
        detach_keys(text)
