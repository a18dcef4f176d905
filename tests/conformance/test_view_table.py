"""Views that come, go and change their names; sources that are missing; ends of all kinds."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from pathlib import Path

import pytest

from tests.conformance.targets import Server
from volfuse.sys.mountinfo import mount_at

DEADLINE_S = 5.0


def private(path: Path, tag: int = 0) -> dict[str, object]:
    path.mkdir(parents=True, exist_ok=True)
    return {"destination": "", "source": str(path), "private": True, "tag": tag}


def test_views_show_vanish_and_are_renamed_at_once(server: Server) -> None:
    for number in range(20):
        old, new = server.mountpoint / f"x{number}", server.mountpoint / f"y{number}"
        with pytest.raises(FileNotFoundError):
            os.stat(old)
        server.attach(f"x{number}", private(server.base / "root-x"))
        assert old.is_dir()
        assert old.name in os.listdir(server.mountpoint)
        server.ask("rename", f"x{number}", f"y{number}")
        assert not old.exists()
        assert new.is_dir()
        server.ask("detach", f"y{number}")
        assert not new.exists()
        assert new.name not in os.listdir(server.mountpoint)


def test_open_files_outlive_their_view(server: Server) -> None:
    view = server.attach("leaving", private(server.base / "root-leaving"))
    with (view / "f").open("w+b", buffering=0) as file:
        file.write(b"content")
        server.ask("detach", "leaving")
        assert os.pread(file.fileno(), 10, 0) == b"content"
        file.write(b" more")
        with pytest.raises(FileNotFoundError):
            (view / "f").read_bytes()
    assert (server.base / "root-leaving/f").read_bytes() == b"content more"


def test_a_working_directory_in_a_view_that_left_is_gone(server: Server) -> None:
    view = server.attach("left", private(server.base / "root-left"))
    fd = os.open(view, os.O_RDONLY | os.O_DIRECTORY)
    server.ask("detach", "left")
    with pytest.raises(OSError) as caught:
        os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    assert caught.value.errno in (errno.ENOENT, errno.ESTALE)
    os.close(fd)


def test_the_list_of_views_cannot_be_changed(server: Server) -> None:
    top = server.mountpoint
    for action, expected in (
        (lambda: os.mkdir(top / "new"), errno.EPERM),
        (lambda: (top / "new").write_bytes(b""), errno.EPERM),
        (lambda: os.symlink("x", top / "new"), errno.EPERM),
        (lambda: os.rmdir(top / "one"), errno.EBUSY),
        (lambda: os.rename(top / "one", top / "new"), errno.EBUSY),
        (lambda: os.rename(top / "one/vol", top / "new"), errno.EPERM),
        (lambda: os.chmod(top, 0o700), errno.EPERM),
        (lambda: os.mkdir(top / "one"), errno.EEXIST),
    ):
        with pytest.raises(OSError) as caught:
            action()
        assert caught.value.errno == expected
    assert os.stat(top).st_ino == 1
    assert os.listxattr(top) == []
    assert os.statvfs(top).f_namemax == 255


def test_a_missing_source_spoils_only_its_mount_point(base: Path, transport: str) -> None:
    directory = base / f"missing-{transport}"
    directory.mkdir()
    server = Server(transport, directory)
    try:
        view = server.attach(
            "c", private(directory / "root"), {"destination": "gone", "source": str(directory / "nowhere")}
        )
        (view / "f").write_bytes(b"content")
        assert sorted(os.listdir(view)) == ["f", "gone"]
        for action in (os.stat, os.listdir, lambda path: (path / "f").touch(), os.statvfs):
            with pytest.raises(OSError) as caught:
                action(view / "gone")
            assert caught.value.errno == errno.EIO
        with pytest.raises(OSError) as caught:
            os.rmdir(view / "gone")
        assert caught.value.errno in (errno.EBUSY, errno.EIO)
        assert server.ask("counts")["failures"] == 0
    finally:
        log = server.stop()
    assert "source" in log
    assert "is missing" in log


def test_numbers_tell_private_trees_apart(server: Server) -> None:
    views = [server.attach(f"n{tag}", private(server.base / "root-same", tag)) for tag in (901, 902)]
    (server.base / "root-same/f").touch()
    numbers = {os.stat(view / name).st_ino for view in views for name in (".", "f")}
    assert len(numbers) == 4
    for tag in (901, 902):
        server.ask("detach", f"n{tag}")


def test_another_file_system_below_a_source_keeps_numbers_apart(server: Server) -> None:
    view = server.attach("proc", private(server.base / "root-proc"), {"destination": "shm", "source": "/dev/shm"})
    assert os.stat(view / "shm").st_ino != os.stat("/dev/shm").st_ino
    assert os.stat(view / "shm").st_ino == os.stat(view / "shm").st_ino
    assert stat.S_ISDIR(os.stat(view / "shm").st_mode)
    server.ask("detach", "proc")


def test_sources_are_shared_and_closed_with_their_views(server: Server) -> None:
    volume = {"destination": "v", "source": str(server.base / "vol")}
    before = server.ask("counts")["descriptors"]
    for number in range(50):
        server.attach(f"many{number}", private(server.base / "root-many"), volume)
        assert os.stat(server.mountpoint / f"many{number}/v").st_ino
    assert server.ask("counts")["descriptors"] - before <= 2
    for number in range(50):
        server.ask("detach", f"many{number}")
    # The kernel gives up what it held of a view when it gets to it.
    deadline = time.monotonic() + DEADLINE_S
    while server.ask("counts")["descriptors"] > before:
        assert time.monotonic() < deadline


@pytest.mark.gap("kernel", reason="what is passed through is read without the daemon, also when it has ended")
def test_stopping_with_open_files_detaches_the_mount(base: Path, transport: str) -> None:
    directory = base / f"busy-{transport}"
    directory.mkdir()
    server = Server(transport, directory)
    view = server.attach("c", private(directory / "root"))
    fd = os.open(view / "f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"content")
    assert server.stop() == ""
    assert mount_at(bytes(server.mountpoint)) is None
    for action in (lambda: os.pread(fd, 10, 0), lambda: os.close(fd)):
        with pytest.raises(OSError) as caught:
            action()
        assert caught.value.errno in (errno.ENOTCONN, errno.EIO, errno.ECONNABORTED)
    assert (directory / "root/f").read_bytes() == b"content"


def test_stopping_ends_waits_for_locks(base: Path, transport: str) -> None:
    directory = base / f"waiting-{transport}"
    directory.mkdir()
    server = Server(transport, directory)
    view = server.attach("c", private(directory / "root"))
    fd = os.open(view / "f", os.O_CREAT | os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            theirs = os.open(view / "f", os.O_RDWR)
            os.write(writer, b"x")
            fcntl.lockf(theirs, fcntl.LOCK_EX)
        except OSError:
            status = 0
        finally:
            os._exit(status)
    os.read(reader, 1)
    assert server.stop() == ""
    assert os.waitpid(pid, 0)[1] == 0
    for descriptor in (reader, writer):
        os.close(descriptor)
    with pytest.raises(OSError):
        os.close(fd)


def test_what_a_crash_left_mounted_is_replaced(base: Path, transport: str) -> None:
    directory = base / f"crash-{transport}"
    directory.mkdir()
    server = Server(transport, directory)
    server.attach("c", private(directory / "root"))
    server.kill()
    with pytest.raises(OSError) as caught:
        os.listdir(server.mountpoint)
    assert caught.value.errno == errno.ENOTCONN
    again = Server(transport, directory)
    try:
        view = again.attach("c", private(directory / "root"))
        (view / "f").write_bytes(b"content")
        assert (view / "f").read_bytes() == b"content"
    finally:
        assert again.stop() == ""
        server.stop()
    assert mount_at(bytes(server.mountpoint)) is None
