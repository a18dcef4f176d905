"""Echoes: of the events of watched directories, which are those of changes through views."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volfuse.core.echoes import SOMEBODY, Echoes
from volfuse.core.feed import ChangeKind, Done, Entry, Through
from volfuse.core.watching import WatchEvent, What, identity

C1, C2 = Through("id1", "v", b"/v"), Through("id2", "v", b"/v")
D, E = identity(8, 1, 10), identity(8, 1, 11)


def done(kind: ChangeKind, path: bytes, through: Through = C1, directory: bytes = D, **more: object) -> Entry:
    return tuple(Done(1, kind, through, directory, path, **more))  # type: ignore[arg-type,return-value]


def nobody(_directory: bytes, _name: bytes) -> Iterable[object]:
    return ()


def who(echoes: Echoes, what: int, name: bytes = b"a", directory: bytes = D, writers=nobody) -> object:
    event = echoes.author(directory, WatchEvent(name, int(what)), writers)
    return "repeated" if event is None else event.author


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (ChangeKind.CREATE, What.CREATE),
        (ChangeKind.SYMLINK, What.CREATE),
        (ChangeKind.LINK, What.CREATE),
        (ChangeKind.MKDIR, What.CREATE | What.ISDIR),
        (ChangeKind.DELETE, What.DELETE),
        (ChangeKind.RMDIR, What.DELETE | What.ISDIR),
        (ChangeKind.TRUNCATE, What.MODIFY),
        (ChangeKind.ATTRIB, What.ATTRIB),
        (ChangeKind.XATTR, What.ATTRIB),
    ],
)
def test_each_kind_of_change_is_recognised_once(kind: ChangeKind, what: int) -> None:
    echoes = Echoes()
    echoes.published(done(kind, b"sub/a", detail=b"mode"))
    assert who(echoes, what, b"b") is None
    assert who(echoes, what, directory=E) is None
    assert who(echoes, what) is C1
    echoes.forget(echoes.mark(), nobody)
    assert who(echoes, what) is None


@pytest.mark.parametrize(
    ("detail", "whats"),
    [
        (b"mode,owner,times", [What.ATTRIB] * 3),
        (b"mtime", [What.MODIFY]),
        (b"mode,mtime", [What.ATTRIB, What.MODIFY]),
        (b"atime", []),
    ],
)
def test_attributes_that_are_set_together_are_told_apart(detail: bytes, whats: list[What]) -> None:
    echoes = Echoes()
    echoes.published(done(ChangeKind.ATTRIB, b"a", detail=detail))
    assert [who(echoes, what) for what in whats] == [C1] * len(whats)
    assert len(echoes) == 0


def test_a_rename_is_two_events() -> None:
    echoes = Echoes()
    echoes.published(done(ChangeKind.RENAME, b"a", new_directory=E, new_path=b"sub/b"))
    assert who(echoes, What.MOVED_FROM) is C1
    assert who(echoes, What.MOVED_TO, b"b", E) is C1
    assert len(echoes) == 0


def test_a_swap_is_four() -> None:
    echoes = Echoes()
    echoes.published(done(ChangeKind.RENAME, b"a", new_directory=D, new_path=b"b", detail=b"exchange"))
    found = [who(echoes, what, name) for name in (b"a", b"b") for what in (What.MOVED_FROM, What.MOVED_TO)]
    assert found == [C1] * 4


def test_two_views_take_turns() -> None:
    echoes = Echoes()
    echoes.published(done(ChangeKind.CREATE, b"a", C1))
    echoes.published(done(ChangeKind.CREATE, b"a", C2))
    assert [who(echoes, What.CREATE) for _ in range(3)] == [C1, C2, None]


def test_what_the_host_does_with_the_same_name_is_not_swallowed_by_merged_events() -> None:
    """Two changes of mode are one event if nobody reads in between. Then the host changes it, too."""
    echoes = Echoes()
    for _ in range(2):
        echoes.published(done(ChangeKind.ATTRIB, b"a", detail=b"mode"))
    mark = echoes.mark()
    assert who(echoes, What.ATTRIB) is C1
    echoes.forget(mark, nobody)  # the queue is empty
    assert who(echoes, What.ATTRIB) is None


def test_what_is_published_after_the_mark_is_still_expected() -> None:
    echoes = Echoes()
    mark = echoes.mark()
    echoes.published(done(ChangeKind.CREATE, b"a"))
    echoes.forget(mark, nobody)
    assert who(echoes, What.CREATE) is C1


def test_keys_that_tell_generations_apart_are_the_same_directory() -> None:
    echoes = Echoes()
    key = D[:8] + b"birth-ns" + D[16:]
    echoes.published(done(ChangeKind.CREATE, b"a", directory=key))
    assert who(echoes, What.CREATE) is C1


def test_writing_is_the_view_s_that_has_the_file_open() -> None:
    echoes = Echoes()
    opened = {(D, b"a"): [C1], (D, b"b"): [C1, C2], (D, b"c"): [C2, C2]}
    found = [
        who(echoes, What.MODIFY, name, writers=lambda *key: opened.get(key, ())) for name in (b"a", b"b", b"c", b"d")
    ]
    assert found == [C1, SOMEBODY, C2, None]


def test_the_end_of_an_open_file_is_told_once_although_the_kernel_does_twice() -> None:
    echoes = Echoes()
    echoes.closed((D, b"a", C1, 2))
    assert who(echoes, What.MODIFY) is C1
    assert [who(echoes, What.CLOSE_WRITE) for _ in range(3)] == [C1, "repeated", None]


def test_the_kernel_may_tell_of_the_end_before_it_is_published() -> None:
    echoes = Echoes()
    assert who(echoes, What.CLOSE_WRITE, writers=lambda *_: [C1]) is C1
    echoes.closed((D, b"a", C1, 2))
    mark = echoes.mark()
    assert who(echoes, What.CLOSE_WRITE) == "repeated"
    echoes.forget(mark, nobody)
    assert who(echoes, What.CLOSE_WRITE) is None


def test_the_end_stays_told_until_it_is_published() -> None:
    echoes = Echoes()
    assert who(echoes, What.CLOSE_WRITE, writers=lambda *_: [C1]) is C1
    echoes.forget(echoes.mark(), lambda *_: [C1])
    echoes.closed((D, b"a", C1, 2))
    assert who(echoes, What.CLOSE_WRITE) == "repeated"
    echoes.forget(echoes.mark(), nobody)
    assert not echoes.is_closing


def test_an_end_after_something_else_is_told_again_rather_than_not_at_all() -> None:
    echoes = Echoes()
    echoes.closed((D, b"a", C1, 2))
    echoes.closed((D, b"a", C1, 2))
    assert who(echoes, What.CLOSE_WRITE) is C1
    assert who(echoes, What.MODIFY) is C1
    assert [who(echoes, What.CLOSE_WRITE) for _ in range(2)] == [C1, "repeated"]


def test_two_views_that_close_one_file_are_both_told() -> None:
    echoes = Echoes()
    echoes.closed((D, b"a", C1, 1))
    echoes.closed((D, b"a", C2, 1))
    assert [who(echoes, What.CLOSE_WRITE) for _ in range(2)] == [C1, C2]


def test_the_end_of_what_is_open_no_more_is_forgotten() -> None:
    echoes = Echoes()
    assert who(echoes, What.CLOSE_WRITE, writers=lambda *_: [C1]) is C1
    echoes.forget(echoes.mark(), nobody)
    assert not echoes.is_closing


def test_both_ends_merged_into_one_leave_nothing() -> None:
    echoes = Echoes()
    echoes.closed((D, b"a", C1, 2))
    mark = echoes.mark()
    assert who(echoes, What.CLOSE_WRITE) is C1
    echoes.forget(mark, nobody)
    assert who(echoes, What.CLOSE_WRITE) is None
    assert len(echoes) == 0


class Inotify:
    """The kernel's queue: merges an event with the youngest one that is still there."""

    def __init__(self) -> None:
        self._queue: list[tuple[bytes, int, object]] = []

    def put(self, name: bytes, what: int, author: object) -> None:
        if not self._queue or self._queue[-1][:2] != (name, what):
            self._queue.append((name, what, author))

    def read(self, most: int) -> list[tuple[bytes, int, object]]:
        taken, self._queue = self._queue[:most], self._queue[most:]
        return taken

    @property
    def empty(self) -> bool:
        return not self._queue


CHANGES = {
    ChangeKind.CREATE: int(What.CREATE),
    ChangeKind.DELETE: int(What.DELETE),
    ChangeKind.ATTRIB: int(What.ATTRIB),
    ChangeKind.XATTR: int(What.ATTRIB),
    ChangeKind.TRUNCATE: int(What.MODIFY),
}


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, C1, C2]),
            st.sampled_from(sorted(CHANGES)),
            st.sampled_from([b"a", b"b"]),
            st.sampled_from(["do", "publish", "read", "read one"]),
        ),
        max_size=60,
    )
)
def test_no_change_of_the_host_is_lost_and_no_view_s_is_taken_for_the_host_s(
    steps: list[tuple[Through | None, ChangeKind, bytes, str]],
) -> None:
    """A watcher that reads whenever, and changes that are published some time after they were done, as requests do.

    What is read is compared with who did it; of events that the kernel has merged, with any who did one of them.
    """
    echoes, kernel = Echoes(), Inotify()
    unpublished: list[Entry] = []
    done_by: dict[tuple[bytes, int], set[object]] = {}

    def settle() -> int:
        while unpublished:
            echoes.published(unpublished.pop(0))
        return echoes.mark()

    def read(most: int) -> None:
        batch = kernel.read(most)
        mark = settle()
        for name, what, author in batch:
            event = echoes.author(D, WatchEvent(name, what), nobody)
            assert event is not None
            assert event.author is author or event.author in done_by[name, what]
        if kernel.empty:
            echoes.forget(mark, nobody)
            done_by.clear()

    for author, kind, name, step in steps:
        if step.startswith("read"):
            read(1 if step == "read one" else 100)
            continue
        what = CHANGES[kind]
        kernel.put(name, what, author)
        done_by.setdefault((name, what), set()).add(author)
        if author is not None:
            unpublished.append(done(kind, name, author, detail=b"mode"))
        if step == "publish":
            settle()
    read(100)
    read(100)
    assert len(echoes) == 0
