"""Leases: what the kernel keeps of a directory that several views and the host change."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
from pathlib import Path

import pytest

from tests.conformance.targets import LEASED, Server
from tests.integration.kernel.conftest import Leased
from tests.support import eventually, needs

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
ROUNDS = 200
DIRECTORIES = 400
"""More than the daemon keeps open."""


def size(path: Path) -> int:
    """Return how many bytes a file has, -1 if it is not there."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return -1


def sizes(leased: Leased, name: str) -> set[int]:
    """Return what all views say of the size of a file."""
    return {size(view / name) for view in leased.views}


# The host.


def test_a_name_that_the_host_makes_is_there_with_the_next_call(leased: Leased) -> None:
    for number in range(ROUNDS):
        assert sizes(leased, f"f{number}") == {-1}
        (leased.host / f"f{number}").write_bytes(b"x")
        assert sizes(leased, f"f{number}") == {1}


def test_what_the_host_does_to_a_file_is_heard(leased: Leased) -> None:
    file = leased.host / "f"
    file.write_bytes(b"x")
    assert sizes(leased, "f") == {1}
    descriptors = [os.open(view / "f", os.O_RDONLY) for view in leased.views]
    file.write_bytes(b"longer")
    eventually(lambda: sizes(leased, "f") == {6})
    eventually(lambda: {os.fstat(fd).st_size for fd in descriptors} == {6})
    file.chmod(0o600)
    eventually(lambda: {os.fstat(fd).st_mode & 0o777 for fd in descriptors} == {0o600})
    eventually(lambda: {os.stat(view / "f").st_mode & 0o777 for view in leased.views} == {0o600})
    os.utime(file, (1, 1))
    eventually(lambda: {os.stat(view / "f").st_mtime for view in leased.views} == {1.0})
    for fd in descriptors:
        os.close(fd)


def test_names_that_the_host_replaces_and_removes_are_heard(leased: Leased) -> None:
    for name, content in (("f", b"x"), ("other", b"longer")):
        (leased.host / name).write_bytes(content)
    assert sizes(leased, "f") == {1}
    assert sizes(leased, "other") == {6}
    os.rename(leased.host / "other", leased.host / "f")
    eventually(lambda: sizes(leased, "f") == {6} and sizes(leased, "other") == {-1})
    os.unlink(leased.host / "f")
    eventually(lambda: sizes(leased, "f") == {-1})


def test_directories_that_the_host_moves_and_changes_are_heard(leased: Leased) -> None:
    (leased.host / "d/sub").mkdir(parents=True)
    (leased.host / "d/sub/f").write_bytes(b"x")
    assert sizes(leased, "d/sub/f") == {1}
    before = {os.stat(view / "d").st_nlink for view in leased.views}
    (leased.host / "d/new").mkdir()
    eventually(lambda: {os.stat(view / "d").st_nlink for view in leased.views} == {n + 1 for n in before})
    os.rename(leased.host / "d/sub", leased.host / "moved")
    eventually(lambda: sizes(leased, "d/sub/f") == {-1} and sizes(leased, "moved/f") == {1})
    (leased.host / "d").chmod(0o700)
    eventually(lambda: {os.stat(view / "d").st_mode & 0o777 for view in leased.views} == {0o700})
    (leased.host / "moved/f").write_bytes(b"longer")
    eventually(lambda: sizes(leased, "moved/f") == {6})


def test_listings_are_those_of_the_host(leased: Leased) -> None:
    (leased.host / "d").mkdir()
    kept = set()
    for number in range(ROUNDS):
        listings = [set(os.listdir(view / "d")) for view in leased.views]
        assert listings == [kept] * len(listings) or number == 0
        (leased.host / f"d/{number}").touch()
        kept.add(str(number))
        eventually(lambda: all(set(os.listdir(view / "d")) == kept for view in leased.views))


def test_a_name_outside_that_the_host_writes_by_is_no_way_around(leased: Leased) -> None:
    (leased.host / "f").write_bytes(b"x")
    os.link(leased.host / "f", leased.base / "outside")
    assert sizes(leased, "f") == {1}
    with (leased.base / "outside").open("ab") as file:
        file.write(b"more")
    eventually(lambda: sizes(leased, "f") == {5})


def test_the_host_is_heard_in_more_directories_than_stay_open(leased: Leased) -> None:
    names = [f"d{number}/f" for number in range(DIRECTORIES)]
    for name in names:
        (leased.host / name).parent.mkdir()
        (leased.host / name).write_bytes(b"x")
    for name in names:
        assert sizes(leased, name) == {1}
    for name in names[:20]:
        with (leased.host / name).open("ab") as file:
            file.write(b"more")
    eventually(lambda: all(sizes(leased, name) == {5} for name in names[:20]))


# Views among one another.


def test_attributes_of_a_directory_are_right_in_all_views_at_once(leased: Leased) -> None:
    changer, *others = leased.views
    (changer / "d").mkdir()
    for number in range(ROUNDS):
        (changer / f"d/{number}").mkdir()
        found = [os.stat(view / "d") for view in (*others, leased.host)]
        assert {(s.st_nlink, s.st_mtime_ns) for s in found} == {(number + 3, found[-1].st_mtime_ns)}
        os.chmod(changer / "d", 0o700 + number % 8)
        assert {os.stat(view / "d").st_mode & 0o777 for view in others} == {0o700 + number % 8}


def test_what_one_view_has_seen_of_the_host_the_others_do_not_keep_old(leased: Leased) -> None:
    (leased.host / "d").mkdir()
    for number in range(20):
        assert [len(os.listdir(view / "d")) for view in leased.views] == [number] * len(leased.views)
        eventually(lambda: {os.stat(view / "d").st_nlink for view in leased.views} == {number + 2})  # noqa: B023
        leased.server.ask("deafen")  # what is heard later may seem to be known by then
        (leased.host / f"d/{number}").mkdir()
        more = leased.attach("more")
        eventually(lambda: os.stat(more / "d").st_nlink == number + 3)  # noqa: B023
        eventually(lambda: {os.stat(view / "d").st_nlink for view in leased.views} == {number + 3})  # noqa: B023
        leased.server.ask("detach", "more")


def test_a_file_that_is_written_after_its_attributes_were_kept(leased: Leased) -> None:
    one, two, *_ = leased.views
    (one / "f").write_bytes(b"")
    for number in range(ROUNDS):
        assert sizes(leased, "f") == {number}
        with (one / "f").open("ab", buffering=0) as file:
            file.write(b"x")
            assert sizes(leased, "f") == {number + 1}
    os.truncate(two / "f", 3)
    assert sizes(leased, "f") == {3}


def test_a_mapping_changes_times_in_all_views(leased: Leased) -> None:
    one, *others = leased.views
    (one / "f").write_bytes(bytes(4096))
    os.utime(one / "f", (1, 1))
    assert {os.stat(view / "f").st_mtime for view in others} == {1.0}
    with (one / "f").open("r+b") as file, mmap.mmap(file.fileno(), 4096) as mapping:
        mapping[0] = 65
        mapping.flush()
        now = os.stat(leased.host / "f").st_mtime_ns
        assert now > 1_000_000_000
        eventually(lambda: {os.stat(view / "f").st_mtime_ns for view in others} == {now})


def test_a_mapping_that_outlives_its_descriptor_changes_times_in_all_views(leased: Leased) -> None:
    one, *others = leased.views
    (one / "f").write_bytes(bytes(4096))
    fd = os.open(one / "f", os.O_RDWR)
    mapping = LIBC.mmap(None, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd, 0)  # mmap.mmap keeps one
    assert mapping not in (None, ctypes.c_void_p(-1).value)
    os.close(fd)
    try:
        os.utime(one / "f", (1, 1))
        for _ in range(3):
            assert {os.stat(view / "f").st_mtime for view in others} == {1.0}
        ctypes.memset(mapping, 65, 1)
        assert LIBC.msync(ctypes.c_void_p(mapping), ctypes.c_size_t(4096), 4) == 0
        now = os.stat(leased.host / "f").st_mtime_ns
        assert now > 1_000_000_000
        eventually(lambda: {os.stat(view / "f").st_mtime_ns for view in others} == {now})
    finally:
        LIBC.munmap(ctypes.c_void_p(mapping), ctypes.c_size_t(4096))


def test_names_of_one_file_show_the_same_attributes(leased: Leased) -> None:
    one, two, *_ = leased.views
    (one / "a").write_bytes(b"x")
    assert sizes(leased, "a") == {1}
    os.link(two / "a", two / "b")
    for number in range(1, ROUNDS):
        assert {os.stat(view / "a").st_nlink for view in leased.views} == {2}
        with (two / "b").open("ab", buffering=0) as file:
            file.write(b"x")
        assert sizes(leased, "a") == {number + 1}
    os.unlink(one / "b")
    assert {os.stat(view / "a").st_nlink for view in leased.views} == {1}


def test_strict_and_leased_views_of_one_source_see_one_another_at_once(leased: Leased) -> None:
    changers = [leased.strict, leased.views[0]]
    sides = [*leased.views, leased.strict]
    for number in range(ROUNDS):
        changer = changers[number % 2]
        (changer / "a").write_bytes(bytes(number))
        assert [size(side / "a") for side in sides] == [number] * len(sides)
        os.rename(changer / "a", changer / "b")
        assert [size(side / "a") for side in sides] == [-1] * len(sides)
        assert [size(side / "b") for side in sides] == [number] * len(sides)
        assert all(os.listdir(side) == ["b"] for side in sides)
        os.unlink(changers[(number + 1) % 2] / "b")
        assert [size(side / "b") for side in sides] == [-1] * len(sides)


def test_a_mount_inside_a_view_survives_changes_by_the_others(leased: Leased) -> None:
    place = leased.views[0] / "tmp"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
    try:
        (place / "kept").write_bytes(b"content")
        for number in range(1000):
            changer = leased.views[1 + number % 3]
            name = f"n{number % 7}"
            (changer / name).write_bytes(b"x")
            os.rename(changer / name, changer / "other")
            os.unlink(changer / "other")
            if number % 100 == 0:
                os.chmod(changer / "tmp", 0o700 + number // 200)
                leased.server.ask("deafen")
                leased.server.ask("hear")
        assert (place / "kept").read_bytes() == b"content"
        assert os.path.ismount(place)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
    taken(leased, "dropped")


def test_views_that_go_and_come_while_names_are_kept(leased: Leased) -> None:
    one, two, *_ = leased.views
    for number in range(20):
        (one / "f").write_bytes(bytes(number))
        more = leased.attach("more")
        assert size(more / "f") == number
        os.rename(two / "f", two / "g")
        assert size(more / "f") == -1
        os.listdir(more)
        leased.server.ask("detach", "more")
        os.rename(one / "g", one / "f")
        assert not more.exists()


def test_a_renamed_container_keeps_what_is_right(leased: Leased) -> None:
    one, *_ = leased.views
    (one / "f").write_bytes(b"x")
    more = leased.attach("more")
    with (more / "f").open("rb") as file:
        leased.server.ask("rename", "more", "new")
        renamed = leased.server.mountpoint / "new/vol"
        assert size(renamed / "f") == 1
        os.unlink(one / "f")
        assert size(renamed / "f") == -1
        assert os.fstat(file.fileno()).st_nlink == 0
    leased.server.ask("detach", "new")


def test_what_the_daemon_changes_past_the_mount_is_seen_at_once(leased: Leased) -> None:
    (leased.host / "d").mkdir()
    leased.attach("unused")
    leased.server.ask("deafen")
    for number in range(ROUNDS):
        (leased.host / "d/new").write_bytes(bytes(number))
        os.rename(leased.host / "d/new", leased.host / "d/f")
        leased.server.ask("changed", "unused", "vol/d/f")
        assert sizes(leased, "d/f") == {number}
        with (leased.host / "d/f").open("ab") as file:
            file.write(b"x")
        leased.server.ask("changed", "unused", "vol/d/f")
        assert sizes(leased, "d/f") == {number + 1}
        os.chmod(leased.host / "d", 0o700 + number % 8)
        leased.server.ask("changed", "unused", "vol/d")
        assert {os.stat(view / "d").st_mode & 0o777 for view in leased.views} == {0o700 + number % 8}


# Where hearing fails.


def taken(leased: Leased, *parts: str) -> str:
    """Return what the process has logged, which must be about `parts`, and take it out of the log."""
    log = leased.base / "log"
    text = log.read_text()
    assert all(part in text for part in parts), text
    os.truncate(log, 0)
    return text


def never_stale(leased: Leased) -> None:
    """Check that the host is seen at once, as in a strict mount."""
    for number in range(ROUNDS):
        (leased.host / "s").write_bytes(bytes(number % 9))
        os.rename(leased.host / "s", leased.host / "strict")
        assert sizes(leased, "strict") == {number % 9}
        os.unlink(leased.host / "strict")
        assert sizes(leased, "strict") == {-1}


def test_without_watches_the_mounts_are_strict_and_say_so(leased: Leased) -> None:
    (leased.views[0] / "d").mkdir()
    assert {os.stat(view).st_nlink for view in leased.views} == {3}
    leased.server.ask("watches", 0)
    assert {os.stat(view / "d").st_nlink for view in leased.views} == {2}
    assert {tuple(os.listdir(view / "d")) for view in leased.views} == {()}
    never_stale(leased)
    assert leased.server.ask("strict because") == ["no more watches"] * 4
    lines = taken(leased, "vol is strict instead of leased: no more watches")
    assert len(lines.splitlines()) == 4


def test_a_watcher_that_has_died_leaves_the_mounts_strict(leased: Leased) -> None:
    (leased.host / "f").write_bytes(b"x")
    assert sizes(leased, "f") == {1}
    leased.server.ask("break watcher")
    (leased.host / "f").write_bytes(b"longer")
    eventually(lambda: sizes(leased, "f") == {6})
    eventually(lambda: len(leased.server.ask("strict because")) == 4 or sizes(leased, "f") != {6})
    never_stale(leased)
    taken(leased, "watching source directories has ended", "is strict instead of leased: the watcher has failed")


def test_when_events_were_lost_all_is_asked_for_again(leased: Leased) -> None:
    (leased.host / "d").mkdir()
    for name in ("f", "d/g", "gone"):
        (leased.host / name).write_bytes(b"x")
        assert sizes(leased, name) == {1}
    descriptor = os.open(leased.views[0] / "d/g", os.O_RDONLY)
    leased.server.ask("deafen")
    (leased.host / "f").write_bytes(b"longer")
    (leased.host / "d/g").write_bytes(b"longer")
    os.unlink(leased.host / "gone")
    (leased.host / "d").chmod(0o700)
    leased.server.ask("hear")
    eventually(lambda: sizes(leased, "f") == {6} and sizes(leased, "d/g") == {6} and sizes(leased, "gone") == {-1})
    eventually(lambda: {os.stat(view / "d").st_mode & 0o777 for view in leased.views} == {0o700})
    eventually(lambda: os.fstat(descriptor).st_size == 6)
    os.close(descriptor)
    (leased.host / "f").write_bytes(b"")
    eventually(lambda: sizes(leased, "f") == {0})
    assert leased.server.ask("strict because") == []
    assert len(taken(leased, "events were lost").splitlines()) == 1


def test_a_killed_daemon_leaves_nothing_in_the_way_of_the_next(base: Path) -> None:
    needs(os.path.exists("/dev/fuse"), "there is no /dev/fuse")
    needs(os.geteuid() == 0, "mounts need root")
    (base / "vol").mkdir()
    killed = Leased(Server(LEASED, base), base, base / "vol")
    one, two = killed.attach("one"), killed.attach("two")
    (one / "f").write_bytes(b"x")
    assert size(two / "f") == 1
    killed.server.kill()
    with pytest.raises(OSError, match="not connected"):
        os.listdir(two)
    again = Leased(Server(LEASED, base), base, base / "vol")
    try:
        again.attach("one")
        two = again.attach("two")
        assert size(two / "f") == 1
        os.unlink(again.server.mountpoint / "one/vol/f")
        assert size(two / "f") == -1
    finally:
        killed.server.stop()
        assert again.server.stop() == ""
