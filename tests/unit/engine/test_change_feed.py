"""The running feed: what transports log reaches all readers, whoever reads and whenever."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from volfuse.core.feed import ChangeKind, Cursor, Done, Entry, Through
from volfuse.core.viewplan import PlannedMount, ViewPlan
from volfuse.engine.changefeed import ChangeFeed
from volfuse.fs.viewtable import ViewTable

DEADLINE_S = 20.0
BEGIN = Cursor("run", 0)


@pytest.fixture
def table(tmp_path: Path) -> ViewTable:
    return ViewTable(os.stat(tmp_path).st_dev)


@pytest.fixture
def feed(table: ViewTable) -> Iterator[ChangeFeed]:
    with ChangeFeed(table, "run", kept=100_000) as feed:
        yield feed


def entry(path: bytes, container: str = "id1", time_ns: int = 1) -> Entry:
    return tuple(Done(time_ns, ChangeKind.CREATE, Through(container, "v", b"/v"), b"", path))  # type: ignore[return-value]


def log(table: ViewTable, *paths: bytes) -> None:
    """Publish as a transport does."""
    for path in paths:
        table.changes.append(entry(path))
        if table.changes.asleep:
            table.changes.wake()


def test_what_was_logged_is_there_when_asked_for(feed: ChangeFeed, table: ViewTable) -> None:
    log(table, b"a", b"b")
    _, found, _ = feed.after(BEGIN, 10)
    assert [change.done.path for change in found] == [b"a", b"b"]


def test_a_reader_is_woken(feed: ChangeFeed, table: ViewTable) -> None:
    woken = threading.Event()
    with feed.reading(woken.set):
        for number in range(3):
            log(table, b"%d" % number)
            assert woken.wait(DEADLINE_S)
            woken.clear()
            _, found, _ = feed.after(Cursor("run", number), 10)
            assert [change.done.path for change in found] == [b"%d" % number]


def test_what_the_host_did_comes_in_between(feed: ChangeFeed, table: ViewTable) -> None:
    log(table, b"a")
    feed.catch_up()
    feed.add([entry(b"b", container="")])
    log(table, b"c")
    _, found, _ = feed.after(BEGIN, 10)
    assert [(change.origin, change.done.path) for change in found] == [("id1", b"a"), ("host", b"b"), ("id1", b"c")]


def test_readers_are_told_of_the_end(table: ViewTable) -> None:
    woken = threading.Event()
    with ChangeFeed(table, "run") as feed, feed.reading(woken.set):
        feed.end_readers()
        assert woken.wait(DEADLINE_S)
        assert feed.ended


def test_containers_are_called_by_name_also_when_they_are_gone(
    feed: ChangeFeed, table: ViewTable, tmp_path: Path
) -> None:
    table.attach(ViewPlan("id1", "old", (PlannedMount((), os.fsencode(tmp_path)),)))
    table.rename("old", "new")
    table.detach("new")
    log(table, b"a")
    _, found, _ = feed.after(BEGIN, 10)
    assert [change.origin for change in found] == ["new"]


def test_the_youngest_that_match(feed: ChangeFeed, table: ViewTable) -> None:
    log(table, *(b"%d" % number for number in range(10)))
    found = feed.latest(lambda change: int(change.done.path) % 2 == 0, 3)
    assert [change.done.path for change in found] == [b"4", b"6", b"8"]


def test_many_writers_and_a_reader_lose_nothing(feed: ChangeFeed, table: ViewTable) -> None:
    """Each writer's changes come once and in its order, whatever the threads do."""
    writers, each = 4, 5000
    news = threading.Event()
    found: list[bytes] = []

    def write(number: int) -> None:
        for count in range(each):
            log(table, b"%d %d" % (number, count))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    with feed.reading(news.set):
        for thread in threads:
            thread.start()
        place = BEGIN
        while len(found) < writers * each:
            assert news.wait(DEADLINE_S), len(found)
            news.clear()
            gap, changes, place = feed.after(place, writers * each)
            assert gap is None
            found += [change.done.path for change in changes]
        for thread in threads:
            thread.join()
    for number in range(writers):
        own = [path for path in found if path.startswith(b"%d " % number)]
        assert own == [b"%d %d" % (number, count) for count in range(each)]
