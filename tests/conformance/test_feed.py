"""What is done through a view is published: once, in order, by whom. Expected is what the test itself did."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.targets import Server, as_user
from volfuse.sys.owned import owned
from volfuse.sys.rename import RENAME_EXCHANGE, renameat2

DEADLINE_S = 20.0


class Shared:
    """A directory of the shared volume as two views and the host see it, and what is published of it."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.one, self.two = (server.mountpoint / view / "vol" / name for view in ("one", "two"))
        self.host = server.base / "vol" / name
        self.kernel = server.transport != "fusepy"

    def published(self) -> list[dict[str, Any]]:
        """Return what was published since the last time. Releases come by themselves: wait for one of our own."""
        mark = self.host.parent / f"mark-{time.monotonic_ns()}"
        os.close(os.open(self.server.mountpoint / "one" / "vol" / mark.name, os.O_CREAT | os.O_WRONLY))
        os.unlink(self.server.mountpoint / "one" / "vol" / mark.name)
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + DEADLINE_S
        names = {mark.name}
        while not any(change["kind"] == "delete" and change["path"] in names for change in found):
            assert time.monotonic() < deadline, found
            found += self.server.ask("changes")
            # libfuse 2 renames a file that is removed before its release has come.
            names |= {change["new_path"] for change in found if change["path"] == mark.name} - {None}
        return [c for c in found if c["path"] not in names and not c["path"].startswith("mark-")]

    def kinds(self) -> list[str]:
        """Return what was published as `KIND PATH` or `rename OLD NEW`, below this directory."""
        prefix = f"{self.host.name}/"
        return [
            " ".join(
                [change["kind"]]
                + [path.removeprefix(prefix) for path in (change["path"], change["new_path"]) if path is not None]
            )
            for change in self.published()
        ]


@pytest.fixture
def shared(server: Server, request: pytest.FixtureRequest) -> Iterator[Shared]:
    found = Shared(server, f"feed-{time.monotonic_ns()}")
    found.host.mkdir(mode=0o777)
    found.host.chmod(0o777)
    umask = os.umask(0o022)
    found.published()
    yield found
    os.umask(umask)


def test_names_made_moved_and_removed(shared: Shared) -> None:
    os.mkdir(shared.one / "d")
    os.mkdir(shared.one / "d" / "e")
    os.symlink("x", shared.one / "s")
    os.mkfifo(shared.one / "p")
    os.link(shared.one / "p", shared.one / "d" / "q")
    os.rename(shared.one / "s", shared.one / "d" / "e" / "t")
    os.rename(shared.one / "d", shared.one / "f")
    os.unlink(shared.one / "f" / "e" / "t")
    os.rmdir(shared.one / "f" / "e")
    assert shared.kinds() == [
        "mkdir d", "mkdir d/e", "symlink s", "create p", "link d/q", "rename s d/e/t", "rename d f", "delete f/e/t",
        "rmdir f/e",
    ]  # fmt: skip


def test_each_change_has_its_view_and_its_caller(shared: Shared) -> None:
    (shared.one / "mine").mkdir()
    as_user(1234, 2345, lambda: (shared.two / "theirs").mkdir())
    mine, theirs = shared.published()
    assert (mine["container"], theirs["container"]) == ("id of one", "id of two")
    assert mine["caller"] == [os.getuid(), os.getgid(), os.getpid()]
    assert theirs["caller"][:2] == [1234, 2345]
    assert theirs["caller"][2] not in (-1, os.getpid())
    assert mine["command"] == theirs["command"] == Path("/proc/self/comm").read_text().rstrip("\n")


def test_a_thread_is_its_process_and_times_rise(shared: Shared) -> None:
    begin = time.time_ns()
    thread = threading.Thread(target=lambda: (shared.one / "d").mkdir())
    thread.start()
    thread.join()
    (shared.one / "e").mkdir()
    first, second = shared.published()
    assert first["caller"][2] == os.getpid()
    assert begin <= first["time_ns"] <= second["time_ns"] <= time.time_ns()


def test_a_file_that_is_written_is_published_when_it_is_closed(shared: Shared) -> None:
    with open(shared.one / "a", "wb", buffering=0) as file:
        file.write(b"12345")
        file.write(b"67890")
        assert shared.kinds() == ["create a"]
    (write,) = shared.published()
    assert (write["kind"], write["container"], write["size"]) == ("write", "id of one", 10)
    assert write["written"] == (-1 if shared.kernel else 10)
    assert write["caller"][2] == os.getpid()


def test_a_file_that_is_open_for_writing_and_not_written_is_not_published(shared: Shared) -> None:
    shared.host.joinpath("a").write_bytes(b"old")
    os.close(os.open(shared.one / "a", os.O_RDWR))
    assert (shared.two / "a").read_bytes() == b"old"
    assert shared.kinds() == []


def test_a_write_is_the_view_s_that_opened_the_file(shared: Shared) -> None:
    shared.host.joinpath("a").write_bytes(b"old")
    with open(shared.two / "a", "r+b", buffering=0) as file:
        assert (shared.one / "a").read_bytes() == b"old"
        file.write(b"new")
    (write,) = shared.published()
    assert (write["kind"], write["container"]) == ("write", "id of two")


@pytest.mark.gap("fusepy", reason="libfuse 2: files of volumes are not cached")
def test_a_mapping_that_is_written_after_closing_is_published(shared: Shared) -> None:
    shared.host.joinpath("a").write_bytes(b"old")
    with open(shared.one / "a", "r+b") as file:
        mapping = mmap.mmap(file.fileno(), 3)
    assert shared.kinds() == []
    mapping[:] = b"new"
    mapping.flush()
    mapping.close()
    assert shared.kinds() == ["write a"]


def test_sizes(shared: Shared) -> None:
    (shared.one / "a").write_bytes(b"1234567")
    with open(shared.one / "a", "r+b", buffering=0) as file:
        file.truncate(5)
    os.truncate(shared.two / "a", 3)
    (shared.one / "a").write_bytes(b"")
    changes = shared.published()
    assert [(change["kind"], change["size"]) for change in changes] == [
        ("create", -1), ("write", 7), ("truncate", 5), ("truncate", 3), ("truncate", 0),
    ]  # fmt: skip
    assert changes[3]["container"] == "id of two"


def test_modes_owners_and_times(shared: Shared) -> None:
    (shared.one / "a").touch()
    (shared.one / "d").mkdir()
    shared.published()
    os.chmod(shared.one / "a", 0o600)
    os.chown(shared.one / "a", 1, 1)
    os.utime(shared.two / "a", (1, 1))
    os.chmod(shared.two / "d", 0o700)
    os.chmod(shared.one, 0o777)
    assert shared.kinds() == ["attrib a", "attrib a", "attrib a", "attrib d", f"attrib {shared.host.name}"]


def test_times_that_are_set_are_no_writing(shared: Shared) -> None:
    shared.host.joinpath("a").write_bytes(b"old")
    with open(shared.one / "a", "r+b") as file:
        os.utime(file.fileno(), (1, 1))
    assert shared.kinds() == ["attrib a"]
    with open(shared.one / "a", "r+b", buffering=0) as file:
        file.write(b"new")
        os.utime(file.fileno(), (2, 2))
    assert sorted(shared.kinds()) == ["attrib a", "write a"]


def test_extended_attributes(shared: Shared) -> None:
    (shared.one / "a").touch()
    shared.published()
    os.setxattr(shared.one / "a", "user.x", b"1")
    os.removexattr(shared.two / "a", "user.x")
    first, second = shared.published()
    assert [first["kind"], first["detail"], first["container"]] == ["xattr", "user.x", "id of one"]
    assert [second["kind"], second["detail"], second["container"]] == ["xattr", "user.x", "id of two"]


@pytest.mark.gap("fusepy", reason="libfuse 2 has no rename flags")
def test_two_names_that_are_swapped(shared: Shared) -> None:
    (shared.one / "a").mkdir()
    (shared.one / "b").touch()
    shared.published()
    renameat2(-100, bytes(shared.one / "a"), -100, bytes(shared.one / "b"), RENAME_EXCHANGE)
    (change,) = shared.published()
    assert (change["kind"], change["detail"]) == ("rename", "exchange")


def test_what_fails_is_not_published(shared: Shared) -> None:
    (shared.one / "d" / "e").mkdir(parents=True)
    shared.published()
    for action in (
        lambda: os.rmdir(shared.one / "d"),
        lambda: os.mkdir(shared.one / "d"),
        lambda: os.unlink(shared.one / "missing"),
        lambda: os.rename(shared.one / "d", shared.one / "d" / "e" / "f"),
        lambda: os.mkdir(shared.server.mountpoint / "one" / "ro" / "x"),
    ):
        with pytest.raises(OSError):
            action()
    assert shared.kinds() == []


def test_what_a_view_has_for_itself_is_nobody_s_business(shared: Shared) -> None:
    private = shared.server.mountpoint / "one" / f"private-{time.monotonic_ns()}"
    private.write_bytes(b"1")
    private.chmod(0o600)
    private.unlink()
    assert shared.kinds() == []


@pytest.mark.gap("fusepy", reason="libfuse 2 has no O_TMPFILE")
def test_a_file_without_a_name_is_published_when_it_gets_one(shared: Shared) -> None:
    with owned(os.open(shared.one, os.O_TMPFILE | os.O_WRONLY)) as fd, owned(os.open(shared.one, os.O_PATH)) as here:
        os.write(fd, b"1")
        os.link(f"/proc/self/fd/{fd}", "a", dst_dir_fd=here, follow_symlinks=True)
    assert shared.kinds() == ["link a", "write a"]


def test_names_that_are_no_text(shared: Shared) -> None:
    os.mkdir(bytes(shared.one) + b"/\xff")
    assert shared.kinds() == ["mkdir \udcff"]


def test_a_file_renamed_while_it_is_open_is_written_under_its_new_name(shared: Shared) -> None:
    with open(shared.one / "a", "wb", buffering=0) as file:
        os.rename(shared.two / "a", shared.two / "b")
        file.write(b"1")
    assert shared.kinds() == ["create a", "rename a b", "write b"]


def test_allocated_space(shared: Shared) -> None:
    with open(shared.one / "a", "wb") as file:
        assert ctypes.CDLL(None).posix_fallocate(file.fileno(), 0, 4096) == 0
    assert shared.kinds() == ["create a", "write a"]
