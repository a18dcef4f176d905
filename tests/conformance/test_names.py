"""Names are bytes: any but `/` and zero, up to 255."""

from __future__ import annotations

import errno
import os

import pytest

from tests.conformance.targets import Target

ODD = [
    b"sp ace",
    b"-dash",
    "ünïcödé".encode(),
    "日本語".encode(),
    "emoji😀".encode(),
    b'q"uote',
    b"star*",
    b"back\\slash",
    b"#hash",
    b"per%cent",
    b"a:b",
    b"a,b=c",
    b".hidden",
    b"...",
    b"trailing ",
    b" leading",
    b"semi;colon",
    b"$dollar",
    b"new\nline",
    b"tab\there",
    b"bad\xffutf",
    b"\x80\x81\xfe",
    "e\u0301".encode(),
    "\u00e9".encode(),
    bytes(range(1, 47)) + bytes(range(48, 128)),
    bytes(range(128, 256)),
    b"x" * 255,
    b"\xff" * 255,
]


@pytest.mark.parametrize("name", ODD, ids=[repr(name)[:24] for name in ODD])
def test_odd_names(target: Target, name: bytes) -> None:
    path, other, host = (os.path.join(os.fsencode(side), name) for side in target.sides)
    with open(path, "wb") as file:
        file.write(name)
    assert os.listdir(os.fsencode(target.other)) == [name]
    with open(other, "rb") as file:
        assert file.read() == name
    os.rename(other, other[:-1] + b"_")
    os.rename(path[:-1] + b"_", path)
    os.symlink(name, os.path.join(os.fsencode(target.path), b"link"))
    assert os.readlink(os.path.join(os.fsencode(target.other), b"link")) == name
    os.unlink(other)
    assert not os.path.exists(host)


def test_a_name_of_256_bytes_is_enametoolong(target: Target) -> None:
    for action in (os.mkdir, os.stat, os.unlink, os.mkfifo):
        with pytest.raises(OSError) as caught:
            action(target.path / ("x" * 256))
        assert caught.value.errno == errno.ENAMETOOLONG


def test_names_differ_by_case_and_composition(target: Target) -> None:
    for name in ("a", "A", "\u00e9", "e\u0301"):
        (target.path / name).write_text(name)
    assert [(target.other / name).read_text() for name in ("a", "A", "\u00e9", "e\u0301")] == [
        "a",
        "A",
        "\u00e9",
        "e\u0301",
    ]


def test_a_long_link_target(target: Target) -> None:
    content = "x/" * 2000
    os.symlink(content, target.path / "link")
    assert os.readlink(target.other / "link") == content
