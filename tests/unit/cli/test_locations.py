"""Where root and socket are: the table of options, environment and user."""

from __future__ import annotations

import pytest

from volfuse.core.locations import Locations, locate

CASES: list[tuple[int, dict[str, str], str | None, str | None, Locations]] = [
    (0, {}, None, None, Locations("/var/lib/volfuse", "/run/volfuse/volfuse.sock")),
    (0, {"XDG_RUNTIME_DIR": "/run/user/0"}, None, None, Locations("/var/lib/volfuse", "/run/volfuse/volfuse.sock")),
    (0, {"VOLFUSE_ROOT": "/r"}, None, None, Locations("/r", "/r/volfuse.sock")),
    (0, {"VOLFUSE_ROOT": ""}, None, None, Locations("/var/lib/volfuse", "/run/volfuse/volfuse.sock")),
    (0, {"VOLFUSE_ROOT": "/r"}, "/s", None, Locations("/s", "/s/volfuse.sock")),
    (0, {"VOLFUSE_SOCKET": "/x.sock"}, "/s", None, Locations("/s", "/x.sock")),
    (0, {"VOLFUSE_SOCKET": "unix:///x.sock"}, None, None, Locations("/var/lib/volfuse", "/x.sock")),
    (0, {"VOLFUSE_SOCKET": "/x.sock"}, None, "unix:///y.sock", Locations("/var/lib/volfuse", "/y.sock")),
    (7, {"HOME": "/h"}, None, None, Locations("/h/.local/share/volfuse", "/h/.local/share/volfuse/volfuse.sock")),
    (
        7,
        {"HOME": "/h", "XDG_DATA_HOME": "/d", "XDG_RUNTIME_DIR": "/run/user/7"},
        None,
        None,
        Locations("/d/volfuse", "/run/user/7/volfuse/volfuse.sock"),
    ),
    (7, {"HOME": "/h", "XDG_RUNTIME_DIR": "/run/user/7"}, "/s", None, Locations("/s", "/s/volfuse.sock")),
]


@pytest.mark.parametrize(("uid", "environ", "root", "socket", "expected"), CASES)
def test_places(uid: int, environ: dict[str, str], root: str | None, socket: str | None, expected: Locations) -> None:
    assert locate(uid, environ, root, socket) == expected
