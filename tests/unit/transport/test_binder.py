"""What an ordinary user is told who wants a view elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from volfuse.errors import Unsupported
from volfuse.transport.binder import RefusingBinder


@pytest.mark.parametrize(("view", "instead"), [("c1", "/root/views/c1"), ("", "/root/views")])
def test_an_ordinary_user_is_told_what_to_do_instead(view: str, instead: str) -> None:
    binder = RefusingBinder(Path("/root/views"))
    with pytest.raises(Unsupported) as refused:
        binder.bind(view, "/mnt/place", read_only=False)
    assert str(refused.value) == (
        f"mount at /mnt/place: only root can bind a view elsewhere: use {instead}, or start the daemon with --views DIR"
    )
    binder.unbind("/mnt/place")
