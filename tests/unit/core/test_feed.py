"""The change feed as values: numbers, places, gaps, selections, JSON."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.core.feed import (
    Change,
    ChangeKind,
    Cursor,
    Done,
    Entry,
    Gap,
    Ring,
    Selection,
    Through,
    encode_change,
    encode_gap,
)
from volfuse.errors import InvalidSpec

C1 = Through("id1", "data", b"/root/volumes/data/_data")
HOST = Through("", "data", b"/root/volumes/data/_data")
NAMES = {"id1": "web", "id2": "db"}


def entry(path: bytes = b"a", time_ns: int = 5, through: Through = C1, **more: object) -> Entry:
    return tuple(Done(time_ns, ChangeKind.CREATE, through, b"", path, **more))  # type: ignore[arg-type,return-value]


def ring(capacity: int = 3, incarnation: str = "run1") -> Ring:
    return Ring(incarnation, capacity, lambda container: NAMES.get(container, container))


def test_changes_are_numbered_from_one_in_their_order() -> None:
    kept = ring()
    kept.extend([entry(b"a"), entry(b"b")])
    kept.extend([entry(b"c")])
    gap, found, cursor = kept.after(Cursor("run1", 0), 10)
    assert gap is None
    assert [(change.sequence, change.done.path) for change in found] == [(1, b"a"), (2, b"b"), (3, b"c")]
    assert cursor == kept.end == Cursor("run1", 3)


def test_a_reader_that_fell_behind_is_told_how_far() -> None:
    kept = ring()
    kept.extend([entry() for _ in range(8)])
    gap, found, cursor = kept.after(Cursor("run1", 2), 2)
    assert gap == Gap(3, "the reader fell behind")
    assert [change.sequence for change in found] == [6, 7]
    assert kept.after(cursor, 2)[0] is None


def test_a_cursor_of_another_run_begins_anew_and_says_so() -> None:
    kept = ring()
    kept.extend([entry()])
    gap, found, _ = kept.after(Cursor("run0", 77), 10)
    assert gap == Gap(None, "the daemon has been started anew")
    assert [change.sequence for change in found] == [1]


def test_a_time_is_a_place() -> None:
    kept = ring(10)
    kept.extend([entry(time_ns=time_ns) for time_ns in (10, 20, 30)])
    assert [kept.since(time_ns).sequence for time_ns in (5, 10, 11, 30, 31)] == [0, 0, 1, 2, 3]


def test_origins_are_names_of_containers_or_the_host() -> None:
    kept = ring()
    kept.extend([entry(), entry(through=HOST), entry(through=Through("id9", "", b"/srv"))])
    assert [change.origin for change in kept.backwards()] == ["id9", "host", "web"]


@given(
    capacity=st.integers(1, 20),
    steps=st.lists(st.tuples(st.integers(0, 15), st.integers(1, 7)), max_size=30),
)
def test_a_reader_gets_each_change_once_or_hears_that_it_missed_it(capacity: int, steps: list[tuple[int, int]]) -> None:
    """Against a list that keeps everything."""
    kept, all_paths, place, read, missed = ring(capacity), [], Cursor("run1", 0), [], 0
    for new, limit in steps:
        paths = [b"%d" % (len(all_paths) + number) for number in range(new)]
        all_paths += paths
        kept.extend([entry(path) for path in paths])
        gap, found, place = kept.after(place, limit)
        if gap is not None:
            assert gap.missed is not None
            missed += gap.missed
            read += [None] * gap.missed
        read += [change.done.path for change in found]
        assert place.sequence == len(read)
    assert [path for path in read if path is not None] == [
        path for path, got in zip(all_paths, read, strict=False) if got is not None
    ]
    assert read.count(None) == missed


def test_cursors_are_text_and_back() -> None:
    assert Cursor.parse(str(Cursor("3fa9", 12))) == Cursor("3fa9", 12)


@pytest.mark.parametrize("text", ["", "12", "-12", "a-", "a-x", "a-1-2", "a.b-1", "a--1"])
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidSpec, match="bad cursor"):
        Cursor.parse(text)


BIND = Through("id2", "", b"/srv/site")
SUBPATH = Through("id2", "data", b"/root/volumes/data/_data", b"sub/dir")


@pytest.mark.parametrize(
    ("selection", "through", "path", "new_path", "taken"),
    [
        (Selection(), C1, b"a", None, True),
        (Selection(volume="data"), C1, b"a", None, True),
        (Selection(volume="data"), BIND, b"a", None, False),
        (Selection(volume="/srv/site"), BIND, b"a", None, True),
        (Selection(volume="/root/volumes/data/_data"), C1, b"a", None, True),
        (Selection(container="id1"), C1, b"a", None, True),
        (Selection(container="id1"), HOST, b"a", None, False),
        (Selection(path=b"a"), C1, b"a", None, True),
        (Selection(path=b"a"), C1, b"a/b", None, True),
        (Selection(path=b"a"), C1, b"ab", None, False),
        (Selection(path=b"a"), C1, b"b", b"a", True),
        (Selection(path=b"a"), C1, b"b", b"c", False),
        (Selection(path=b"sub/dir/a"), SUBPATH, b"a", None, True),
        (Selection(path=b"a"), SUBPATH, b"a", None, False),
    ],
)
def test_selections(selection: Selection, through: Through, path: bytes, new_path: bytes | None, taken: bool) -> None:
    done = Done(5, ChangeKind.RENAME, through, b"", path, b"", new_path)
    assert selection.takes(Change(1, "x", done)) is taken


def test_json_of_a_change() -> None:
    done = Done(
        1_700_000_000_000_000_005, ChangeKind.WRITE, SUBPATH, b"9", b"a/b", uid=0, gid=5, pid=77, command=b"sh",
        written=3, size=8,
    )  # fmt: skip
    assert json.loads(encode_change(Change(12, "db", done), "3fa9")) == {
        "Cursor": "3fa9-12",
        "Sequence": 12,
        "TimeNano": 1_700_000_000_000_000_005,
        "Kind": "write",
        "Volume": "data",
        "Source": "/root/volumes/data/_data",
        "Path": "sub/dir/a/b",
        "Origin": "container",
        "Container": "db",
        "ContainerID": "id2",
        "UID": 0,
        "GID": 5,
        "PID": 77,
        "Bytes": 3,
        "Size": 8,
        "Command": "sh",
    }


def test_json_of_what_the_host_did() -> None:
    done = Done(5, ChangeKind.RENAME, HOST, b"", b"a", b"", b"b")
    assert json.loads(encode_change(Change(1, "host", done), "x")) == {
        "Cursor": "x-1",
        "Sequence": 1,
        "TimeNano": 5,
        "Kind": "rename",
        "Volume": "data",
        "Source": "/root/volumes/data/_data",
        "Path": "a",
        "NewPath": "b",
        "Origin": "host",
    }


def test_paths_that_are_no_text_are_given_exactly_too() -> None:
    name = b"caf\xe9"
    found = json.loads(encode_change(Change(1, "web", Done(5, ChangeKind.CREATE, C1, b"", name)), "x"))
    assert found["Path"] == "caf\ufffd"
    assert base64.b64decode(found["PathBase64"]) == name


def test_json_of_a_gap() -> None:
    assert json.loads(encode_gap(Gap(3, "why"), Cursor("x", 9))) == {"Cursor": "x-9", "Missed": 3, "Reason": "why"}
