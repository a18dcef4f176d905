"""Paths inside containers. Expected values: the documentation and test table of Go's package path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.core import paths

PATHS = st.text(alphabet="a./", max_size=20) | st.text(max_size=20)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "."),
        ("abc", "abc"),
        ("abc/def", "abc/def"),
        (".", "."),
        ("..", ".."),
        ("../..", "../.."),
        ("../../abc", "../../abc"),
        ("/abc", "/abc"),
        ("/", "/"),
        ("abc/", "abc"),
        ("abc//def//ghi", "abc/def/ghi"),
        ("//abc", "/abc"),
        ("///abc", "/abc"),
        ("//abc//", "/abc"),
        ("abc/./def", "abc/def"),
        ("/./abc/def", "/abc/def"),
        ("abc/.", "abc"),
        ("abc/def/ghi/../jkl", "abc/def/jkl"),
        ("abc/def/../..", "."),
        ("/abc/def/../..", "/"),
        ("abc/def/../../..", ".."),
        ("/abc/def/../../..", "/"),
        ("abc/def/../../../ghi/jkl/../../../mno", "../../mno"),
        ("abc/./../def", "def"),
        ("abc//./../def", "def"),
        ("abc/../../././../def", "../../def"),
    ],
)
def test_clean_gives_what_go_gives(path: str, expected: str) -> None:
    assert paths.clean(path) == expected


@pytest.mark.parametrize(
    ("destination", "expected"),
    [("/p/", "/p"), ("/q/../w", "/w"), ("//s///t", "/s/t"), ("/u/./v", "/u/v"), ("/../../up", "/up"), ("rel", "rel")],
)
def test_destinations_are_recorded_as_in_scenario_33(destination: str, expected: str) -> None:
    assert paths.clean_destination(destination) == expected


@given(PATHS)
def test_clean_is_idempotent(path: str) -> None:
    assert paths.clean(paths.clean(path)) == paths.clean(path)


@given(PATHS)
def test_clean_of_an_absolute_path_never_climbs(path: str) -> None:
    cleaned = paths.clean(f"/{path}")
    assert cleaned.startswith("/")
    assert ".." not in cleaned.split("/")
    assert cleaned == "/" or not cleaned.endswith("/")


@given(st.binary(max_size=20))
def test_bytes_are_cleaned_without_being_decoded(path: bytes) -> None:
    cleaned = paths.clean_bytes(b"/" + path)
    assert cleaned.split(b"/")[1:] == list(paths.bytes_components(b"/" + path)) or cleaned == b"/"


@pytest.mark.parametrize(("path", "expected"), [("/", ()), (".", ()), ("/a//b/../c/", ("a", "c")), ("a", ("a",))])
def test_components(path: str, expected: tuple[str, ...]) -> None:
    assert paths.components(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/a", True), ("\\a", True), ("a", False), ("", False), ("./a", False)],
)
def test_a_backslash_counts_as_a_slash_in_front(path: str, expected: bool) -> None:
    assert paths.is_absolute(path) is expected


@pytest.mark.parametrize(
    ("path", "expected"), [("/", True), ("//.", True), ("\\", True), ("/a/..", True), ("/a", False)]
)
def test_root(path: str, expected: bool) -> None:
    assert paths.is_root(path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", False),
        (".", True),
        ("..", False),
        ("../a", False),
        ("/", False),
        ("/a", False),
        ("/a/../..", False),
        ("a", True),
        ("a/../a", True),
        ("a/", True),
        ("a/.", True),
        ("a/./b/./c", True),
        ("a/../b:/../../c", False),
    ],
)
def test_is_local_gives_what_go_gives(path: str, expected: bool) -> None:
    assert paths.is_local(path) is expected


def test_absolute_joins_and_cleans() -> None:
    assert paths.absolute("./a/../b", "/here") == "/here/b"
    assert paths.absolute("..", "/") == "/"
    assert paths.absolute("/x/", "/here") == "/x"


def test_depth_counts_slashes() -> None:
    assert [paths.depth(p) for p in ("/a", "/a/b/", "rel")] == [1, 2, 0]
