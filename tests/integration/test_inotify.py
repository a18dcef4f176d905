"""A watcher in one view hears what is done through another view and on the host, and nothing else comes of it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.inotify import DEADLINE_S, Inotify, apart
from tests.integration.sharing import Sharing, sharing
from volfuse.core.watching import What
from volfuse.sys.owned import owned


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Sharing]:
    with sharing(tmp_path) as shared:
        yield shared


@pytest.fixture
def watcher() -> Iterator[Inotify]:
    with closing(Inotify()) as watcher:
        yield watcher


def change(place: Path) -> None:
    """Do all kinds of things."""
    (place / "a").write_bytes(b"content")
    (place / "a").rename(place / "b")
    (place / "b").chmod(0o600)
    (place / "b").unlink()
    (place / "d").mkdir()
    (place / "d").rmdir()
    (place / "end").mkdir()


CHANGED = [
    ". CREATE a",
    ". MODIFY a",
    ". CLOSE_WRITE a",
    ". MOVED_FROM a #0",
    ". MOVED_TO b #0",
    ". ATTRIB b",
    ". DELETE b",
    ". CREATE|ISDIR d",
    ". DELETE|ISDIR d",
    ". CREATE|ISDIR end",
]


@pytest.mark.parametrize("author", ["one", "host"])
def test_a_watcher_in_another_view_hears_each_change(shared: Sharing, watcher: Inotify, author: str) -> None:
    watcher.watch(shared.two, ".")
    shared.heard(watcher, "", ".")
    change(getattr(shared, author))
    assert apart(watcher.until(CHANGED[-1])) == CHANGED


def test_one_s_own_changes_are_heard_once(shared: Sharing, watcher: Inotify) -> None:
    watcher.watch(shared.two, ".")
    shared.heard(watcher, "", ".")
    change(shared.two)
    (shared.one / "after").mkdir()
    assert watcher.until(". CREATE|ISDIR after") == [*CHANGED, ". CREATE|ISDIR after"]


def test_watchers_of_two_views_that_write_hear_each_change_once(shared: Sharing) -> None:
    """Each answers the other's letter; a replay that was heard as a change would never end."""
    with closing(Inotify()) as one, closing(Inotify()) as two:
        one.watch(shared.one, ".", int(What.CREATE))
        two.watch(shared.two, ".", int(What.CREATE))
        shared.heard(one, "", ".", author=shared.host, last="CREATE")
        shared.heard(two, "", ".", author=shared.host, last="CREATE")
        letters = 100
        heard: dict[str, list[str]] = {"one": [], "two": []}
        (shared.one / "letter-0").mkdir()
        for number in range(letters):
            name, watcher, place = ("one", one, shared.one) if number % 2 else ("two", two, shared.two)
            heard[name] += watcher.until(f". CREATE|ISDIR letter-{number}")
            (place / f"letter-{number + 1}").mkdir()
        for name, watcher in (("one", one), ("two", two)):
            (shared.host / f"end-{name}").mkdir()
            heard[name] += watcher.until(f". CREATE|ISDIR end-{name}")
            told = [event for event in heard[name] if "letter" in event]
            assert told == [f". CREATE|ISDIR letter-{number}" for number in range(letters + 1)]


def test_the_source_is_not_touched(shared: Sharing, watcher: Inotify) -> None:
    def state() -> dict[Path, tuple[object, ...]]:
        found = {}
        for path in (shared.host, *sorted(shared.host.rglob("*"))):
            status = path.lstat()
            found[path] = (
                *(status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_size),
                *(status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns),
            )
        return found

    for name in ("", "sub"):
        (shared.host / name).mkdir(exist_ok=True)
        (shared.host / name / "kept").write_bytes(b"kept")
    watcher.watch(shared.two, ".")
    watcher.watch(shared.two / "sub", "sub")
    shared.heard(watcher, "", ".")
    shared.heard(watcher, "sub", "sub")
    for name in ("kept", "sub/kept"):
        with open(shared.host / name, "ab") as file:
            file.write(b" and changed")
        os.chmod(shared.host / name, 0o640)
        os.utime(shared.host / name, ns=(1, 2))
    (shared.host / "sub/kept").rename(shared.host / "moved")
    (shared.host / "sub").chmod(0o711)
    (shared.host / "end").mkdir()
    before = state()
    assert ". CREATE|ISDIR end" in watcher.until(". CREATE|ISDIR end")
    assert state() == before
    assert (shared.host / "moved").read_bytes() == (shared.two / "kept").read_bytes() == b"kept and changed"


def test_a_watched_file_hears_of_all_sides_once(shared: Sharing, watcher: Inotify, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    with closing(Inotify()) as plain:
        for place, instance in ((bare, plain), (shared.two, watcher)):
            (place / "file").write_bytes(b"")
            instance.watch(place / "file", "file")
            instance.watch(place, ".")
        shared.heard(watcher, "", ".")
        for side in (shared.host, shared.one, shared.two):
            for place in (bare, side):
                os.chmod(place / "file", 0o600)
                with open(place / "file", "ab") as file:
                    file.write(b"x")
                (place / f"after-{side.parent.name}").mkdir()
            end = f". CREATE|ISDIR after-{side.parent.name}"
            assert sorted(apart(watcher.until(end))) == sorted(apart(plain.until(end)))


def test_a_directory_that_ends_is_told_and_one_that_moves_goes_on(shared: Sharing, watcher: Inotify) -> None:
    for name in ("gone", "moves"):
        (shared.host / name).mkdir()
        watcher.watch(shared.two / name, name)
        shared.heard(watcher, name, name)
    (shared.one / "moves").rename(shared.one / "moved")
    (shared.one / "gone").rmdir()
    watcher.until("gone IGNORED")
    (shared.host / "moved/x").mkdir()
    watcher.until("moves CREATE|ISDIR x")


def test_the_option_of_a_container(shared: Sharing, watcher: Inotify) -> None:
    never = shared.create("never", storage_opt={"inotify": "off"})
    always = shared.create("always", storage_opt={"inotify": "on"})
    with closing(Inotify()) as off:
        off.watch(never, ".")
        watcher.watch(always, ".")
        shared.heard(watcher, "", ".")
        change(shared.one)
        assert apart(watcher.until(CHANGED[-1])) == CHANGED
        assert off.ready() == []


def test_many_changes_at_once_are_merged_and_the_last_is_heard(shared: Sharing, watcher: Inotify) -> None:
    watcher.watch(shared.two, ".")
    shared.heard(watcher, "", ".")

    def write() -> None:  # more than a queue of replay takes, less than one of the kernel (max_queued_events)
        with open(shared.one / "file", "wb", buffering=0) as first, open(shared.one / "other", "wb") as second:
            for number in range(12_000):
                os.write((first, second)[number % 2].fileno(), b"x")

    writer = threading.Thread(target=write)
    writer.start()
    writer.join()
    (shared.one / "end").mkdir()
    heard = watcher.until(". CREATE|ISDIR end")
    assert {". CREATE file", ". MODIFY file", ". CLOSE_WRITE file"} <= set(heard)
    assert len(apart(heard)) <= 24_000


def test_the_daemon_killed_while_it_replays_starts_again(shared: Sharing, watcher: Inotify) -> None:
    watcher.watch(shared.two, ".")
    shared.heard(watcher, "", ".")
    helpers = _children(shared.daemon.pid)
    assert helpers
    for number in range(2000):
        (shared.host / f"f{number}").write_bytes(b"")
    shared.daemon.kill()
    with pytest.raises(OSError):
        os.listdir(shared.two)
    for pid in helpers:
        _await_end(pid)
    shared.daemon.start()
    assert len(os.listdir(shared.two)) == 2000
    with closing(Inotify()) as again:
        again.watch(shared.two, ".")
        shared.heard(again, "", ".")


def test_a_killed_helper_is_replaced(shared: Sharing, watcher: Inotify) -> None:
    watcher.watch(shared.two, ".")
    shared.heard(watcher, "", ".")
    for pid in _children(shared.daemon.pid):
        os.kill(pid, 9)
    shared.heard(watcher, "", ".")


def test_the_daemon_ends_while_it_replays(shared: Sharing, watcher: Inotify) -> None:
    watcher.watch(shared.two, ".")
    shared.heard(watcher, "", ".")
    for number in range(2000):
        (shared.host / f"f{number}").write_bytes(b"")
    helpers = _children(shared.daemon.pid)
    assert shared.daemon.stop() == 0
    assert not any(os.path.exists(f"/proc/{pid}") for pid in helpers)
    assert not os.path.ismount(shared.daemon.views)
    assert "Traceback" not in shared.daemon.log


def _await_end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError), owned(os.pidfd_open(pid)) as fd:
        assert select.select([fd], [], [], DEADLINE_S)[0]


def _children(pid: int) -> list[int]:
    """Return the replay helpers of a daemon."""
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=True
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "replay/helper.py" in line]
