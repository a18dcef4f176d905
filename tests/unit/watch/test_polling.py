"""A source that is looked at now and then: what became of it in between is told."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from volfuse.core.feed import Done, Entry, Through
from volfuse.sys.owned import owned
from volfuse.watch.polling import PolledSource

DEADLINE_S = 20.0


class Polled:
    """A source that is looked at often, and what is told of it."""

    def __init__(self, directory: Path) -> None:
        self._records: queue.Queue[list[Entry]] = queue.Queue()
        self.ours: set[bytes] = set()
        with owned(os.open(directory, os.O_PATH)) as fd:
            self._source = PolledSource(
                Through("", "data", b"/v"), fd, self._records.put, lambda: self.ours, interval_s=0.01
            )
        self._source.start()
        self.looks(2)

    def looks(self, number: int) -> list[str]:
        """Wait for so many looks; return what they found."""
        found = [self._records.get(timeout=DEADLINE_S) for _ in range(number)]
        return [text(entry) for entries in found for entry in entries]

    def until(self, last: str) -> list[str]:
        found: list[str] = []
        deadline = time.monotonic() + DEADLINE_S
        while last not in found:
            assert time.monotonic() < deadline, found
            found += self.looks(1)
        return found

    def close(self) -> None:
        self._source.close()


def text(entry: Entry) -> str:
    done = Done._make(entry)
    return b" ".join([done.kind.value.encode(), done.path, *([done.new_path] if done.new_path else [])]).decode()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d" / "a").write_bytes(b"1")
    return source


@pytest.fixture
def polled(source: Path, open_descriptors: None) -> Iterator[Polled]:
    polled = Polled(source)
    yield polled
    polled.close()


def test_what_was_done_since_the_last_look(polled: Polled, source: Path) -> None:
    (source / "new").touch()
    assert "create new" in polled.until("create new")
    (source / "d" / "a").write_bytes(b"22")
    polled.until("write d/a")
    (source / "d" / "a").chmod(0o600)
    polled.until("attrib d/a")
    (source / "d" / "a").rename(source / "b")
    polled.until("rename d/a b")
    (source / "d").rmdir()
    polled.until("rmdir d")
    (source / "b").unlink()
    polled.until("delete b")


def test_what_views_did_is_left_out(polled: Polled, source: Path) -> None:
    polled.ours = {b"mine"}
    (source / "mine").touch()
    (source / "theirs").touch()
    found = polled.until("create theirs") + polled.looks(2)
    assert [change for change in found if "mine" in change] == []


def test_links_are_not_followed(polled: Polled, source: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    (source / "link").symlink_to(tmp_path / "outside")
    found = polled.until("create link") + polled.looks(2)
    assert [change for change in found if "secret" in change] == []


def test_names_that_are_no_text(polled: Polled, source: Path) -> None:
    os.mkdir(bytes(source) + b"/\xff")
    deadline = time.monotonic() + DEADLINE_S
    found: list[bytes] = []
    while not found:
        assert time.monotonic() < deadline
        found = [Done._make(entry).path for entry in polled._records.get(timeout=DEADLINE_S)]
    assert found == [b"\xff"]
