"""Following links inside a root, against the kernel's own answer in a chroot-like tree."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.core.links import follow_links

LINKS = {
    (b"abs",): b"/etc/conf",
    (b"rel",): b"etc/../etc",
    (b"up",): b"../../..",
    (b"etc", b"back"): b"..",
    (b"chain",): b"rel/back/abs",
    (b"loop",): b"/loop",
    (b"dangling",): b"/no/where",
}


def follow(path: bytes):
    return follow_links(path, LINKS.get)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/", ()),
        (b"/a//b/./c/", (b"a", b"b", b"c")),
        (b"/abs", (b"etc", b"conf")),
        (b"/abs/x", (b"etc", b"conf", b"x")),
        (b"/rel/x", (b"etc", b"x")),
        (b"/up/x", (b"x",)),
        (b"/etc/back/etc", (b"etc",)),
        (b"/chain", (b"etc", b"conf")),
        (b"/dangling/x", (b"no", b"where", b"x")),
        (b"/../../x", (b"x",)),
    ],
)
def test_links_are_followed_inside_the_root(path, expected):
    assert follow(path) == expected


def test_a_loop_is_eloop():
    with pytest.raises(OSError) as caught:
        follow(b"/loop/x")
    assert caught.value.errno == errno.ELOOP


@given(
    st.lists(st.sampled_from([b"..", b".", b"", b"abs", b"rel", b"up", b"etc", b"back", b"chain", b"x"]), max_size=12)
)
def test_the_result_has_no_dots_and_follows_to_itself(parts):
    found = follow(b"/" + b"/".join(parts))
    assert not {b"", b".", b".."} & set(found)
    assert follow(b"/" + b"/".join(found)) == found


def test_agrees_with_the_kernel(tmp_path):
    from volfuse.sys.openat2 import RESOLVE_IN_ROOT, openat2

    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "conf").mkdir()
    for place, target in LINKS.items():
        os.symlink(target, os.path.join(os.fsencode(tmp_path), *place))
    root = os.open(tmp_path, os.O_PATH)
    try:
        for path in (b"abs", b"rel/back", b"up/etc", b"chain", b"etc/back/rel/conf"):
            fd = openat2(root, path, os.O_PATH, resolve=RESOLVE_IN_ROOT)
            expected = os.readlink(f"/proc/self/fd/{fd}").removeprefix(str(tmp_path)).strip("/")
            os.close(fd)
            assert b"/".join(follow(path)) == os.fsencode(expected)
    finally:
        os.close(root)
