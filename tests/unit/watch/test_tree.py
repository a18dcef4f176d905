"""A watched source: what the host does to it is told, in its order and once. Expected is what the test did."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from volfuse.core.feed import Done, Entry, Through
from volfuse.errors import Unavailable
from volfuse.sys.owned import owned
from volfuse.watch.directories import DirectoryWatcher
from volfuse.watch.tree import SourceTree

DEADLINE_S = 20.0
THROUGH = Through("", "data", b"/v")


class Told:
    """Records of a tree, to be waited for."""

    def __init__(self, directory: Path, limit: int = 1000) -> None:
        self.watcher = DirectoryWatcher()
        self.ends: list[tuple[str, bool]] = []
        self._entries: list[Entry] = []
        self._news = threading.Condition()
        with owned(os.open(directory, os.O_PATH)) as fd:
            self.tree = SourceTree(THROUGH, fd, self.watcher, lambda *_: None, self._ended, limit)
        self.watcher.after_batch = self._take

    def until(self, last: str) -> list[str]:
        """Return what was told up to a record, which must come: `KIND PATH` or `rename OLD NEW`."""
        with self._news:
            assert self._news.wait_for(lambda: last in self._texts(), DEADLINE_S), self._texts()
            texts = self._texts()
            number = texts.index(last) + 1
            self._entries = self._entries[number:]
            return texts[:number]

    def ended(self) -> tuple[str, bool]:
        with self._news:
            assert self._news.wait_for(lambda: self.ends, DEADLINE_S)
            return self.ends[0]

    def close(self) -> None:
        self.tree.close()
        self.watcher.close()

    def _texts(self) -> list[str]:
        return [text(entry) for entry in self._entries]

    def _take(self, quiet: bool) -> None:
        with self._news:
            self._entries += self.tree.take(quiet=quiet)
            self._news.notify_all()

    def _ended(self, reason: str, again: bool) -> None:
        with self._news:
            self.ends.append((reason, again))
            self._news.notify_all()


def text(entry: Entry) -> str:
    done = Done._make(entry)
    assert done.through is THROUGH
    parts = [done.kind.value.encode(), done.path, *([done.new_path] if done.new_path is not None else [])]
    return b" ".join(parts).decode()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "old" / "below").mkdir(parents=True)
    return source


@pytest.fixture
def told(source: Path, open_descriptors: None) -> Iterator[Told]:
    told = Told(source)
    told.tree.start()
    yield told
    told.close()


def test_names_made_and_removed(told: Told, source: Path) -> None:
    (source / "a").write_bytes(b"1")
    (source / "old" / "below" / "b").touch()
    (source / "s").symlink_to("nowhere")
    (source / "l").hardlink_to(source / "a")
    os.mkfifo(source / "p")
    assert told.until("create p") == ["create a", "write a", "create old/below/b", "symlink s", "create l", "create p"]
    (source / "a").chmod(0o600)
    (source / "s").unlink()
    (source / "old" / "below" / "b").unlink()
    (source / "old" / "below").rmdir()
    assert told.until("rmdir old/below") == ["attrib a", "delete s", "delete old/below/b", "rmdir old/below"]


def test_new_directories_are_watched_and_what_is_in_them_already_is_told(told: Told, source: Path) -> None:
    (source / "x" / "y" / "z").mkdir(parents=True)
    (source / "x" / "y" / "z" / "f").write_bytes(b"1")
    told.until("create x/y/z/f")
    (source / "x" / "y" / "g").touch()
    rest = told.until("create x/y/g")
    assert "create x/y/z/f" not in rest
    assert rest[-1] == "create x/y/g"


def test_a_directory_filled_before_it_comes_is_told_once(told: Told, source: Path, tmp_path: Path) -> None:
    """Of what is found when a directory is made some is told by events as well: each once."""
    for number in range(30):
        (source / f"d{number}").mkdir()
        for name in "abc":
            (source / f"d{number}" / name).touch()
    (source / "last").mkdir()
    found = told.until("mkdir last")
    assert sorted(t for t in found if t.startswith("create")) == sorted(
        f"create d{number}/{name}" for number in range(30) for name in "abc"
    )
    assert [t for t in found if t.startswith("mkdir")] == [*(f"mkdir d{number}" for number in range(30)), "mkdir last"]


def test_renames(told: Told, source: Path) -> None:
    (source / "a").touch()
    (source / "a").rename(source / "old" / "b")
    (source / "old").rename(source / "new")
    (source / "new" / "below" / "c").touch()
    assert told.until("create new/below/c") == [
        "create a", "rename a old/b", "rename old new", "create new/below/c",
    ]  # fmt: skip


def test_what_is_moved_out_and_in_goes_and_comes_with_all_that_is_in_it(
    told: Told, source: Path, tmp_path: Path
) -> None:
    (source / "old" / "a").touch()
    (source / "old" / "a").rename(tmp_path / "gone")
    (tmp_path / "gone").rename(source / "back")
    (source / "old").rename(tmp_path / "away")
    (source / "between").touch()
    assert told.until("create between") == [
        "create old/a",
        "delete old/a",
        "create back",
        "rmdir old",
        "create between",
    ]
    (tmp_path / "away" / "new").touch()
    (tmp_path / "away").rename(source / "again")
    (source / "again" / "below" / "later").touch()
    found = [*told.until("create again/below/later")]
    (source / "end").touch()
    found += told.until("create end")
    assert found[0] == "mkdir again"
    assert sorted(found[1:-1]) == ["create again/below/later", "create again/new", "mkdir again/below"]


def test_what_is_written_is_told_while_the_file_stays_open(told: Told, source: Path) -> None:
    with open(source / "a", "wb", buffering=0) as file:
        file.write(b"1")
        assert told.until("write a") == ["create a", "write a"]
        file.write(b"2")
        assert told.until("write a") == ["write a"]


def test_the_source_s_own_mode(told: Told, source: Path) -> None:
    source.chmod(0o700)
    (source / "old").chmod(0o700)
    assert told.until("attrib old") == ["attrib ", "attrib old"]


def test_links_are_not_followed(told: Told, source: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (source / "link").symlink_to(tmp_path / "outside")
    (source / "old" / "below").rmdir()
    (source / "old" / "below").symlink_to(tmp_path / "outside")
    told.until("symlink old/below")
    (tmp_path / "outside" / "secret").touch()
    (source / "end").touch()
    assert told.until("create end") == ["create end"]


def test_looking_changes_nothing(told: Told, source: Path) -> None:
    """Not even the time of the last access, where the daemon may choose."""
    os.utime(source / "old", (1, 1))
    before = os.stat(source / "old")
    (source / "x" / "y").mkdir(parents=True)
    told.until("mkdir x/y")
    after = os.stat(source / "old")
    assert (after.st_atime_ns, after.st_mtime_ns) == (before.st_atime_ns, before.st_mtime_ns)


def test_lost_events_are_a_reason_to_begin_anew(told: Told) -> None:
    told.watcher._lost("too many at once")
    assert told.ended() == ("too many at once", True)


def test_too_many_directories_are_refused(source: Path, open_descriptors: None) -> None:
    told = Told(source, limit=2)
    with pytest.raises(Unavailable, match="too many directories"):
        told.tree.start()
    told.close()


def test_too_many_directories_later(source: Path, open_descriptors: None) -> None:
    told = Told(source, limit=4)
    told.tree.start()
    for name in "abc":
        (source / name).mkdir()
    assert told.ended() == ("it has too many directories", False)
    told.close()


def test_removed_directories_do_not_count(source: Path, open_descriptors: None) -> None:
    told = Told(source, limit=4)
    told.tree.start()
    for _ in range(10):
        (source / "a").mkdir()
        (source / "a").rmdir()
        told.until("rmdir a")
    assert told.ends == []
    assert len(told.watcher) == 3
    told.close()


def test_a_very_deep_tree_is_no_harm(told: Told, source: Path) -> None:
    fd = os.open(source, os.O_RDONLY)
    try:
        for _ in range(3000):
            os.mkdir(b"deep", dir_fd=fd)
            below = os.open(b"deep", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        (source / "end").touch()
        told.until("create end")
        assert told.ends == []
    finally:
        os.close(fd)
        subprocess.run(["rm", "-rf", source / "deep"], check=True)  # deeper than Python can
