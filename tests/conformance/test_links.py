"""Hard links, symbolic links, special files."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from tests.conformance.targets import Target


def test_a_hard_link_is_the_same_file(target: Target) -> None:
    (target.path / "f").write_bytes(b"content")
    os.link(target.path / "f", target.path / "g")
    for side in target.sides:
        assert os.stat(side / "f").st_nlink == 2
        assert os.stat(side / "f").st_ino == os.stat(side / "g").st_ino
    (target.other / "g").write_bytes(b"changed")
    assert (target.path / "f").read_bytes() == b"changed"
    (target.path / "f").unlink()
    assert os.stat(target.other / "g").st_nlink == 1
    assert (target.path / "g").read_bytes() == b"changed"


def test_link_over_an_existing_name_is_eexist(target: Target) -> None:
    (target.path / "f").write_bytes(b"")
    (target.path / "g").write_bytes(b"")
    with pytest.raises(FileExistsError):
        os.link(target.path / "f", target.path / "g")


def test_a_directory_cannot_be_linked(target: Target) -> None:
    (target.path / "d").mkdir()
    with pytest.raises(PermissionError):
        os.link(target.path / "d", target.path / "e")


def test_a_symbolic_link_can_be_hard_linked(target: Target) -> None:
    (target.path / "l").symlink_to("nowhere")
    os.link(target.path / "l", target.path / "m", follow_symlinks=False)
    assert os.readlink(target.other / "m") == "nowhere"


@pytest.mark.parametrize("content", ["f", "../x/y", "/absolute/path", "dangling \xff", "."])
def test_symbolic_links_hold_any_text(target: Target, content: str) -> None:
    (target.path / "l").symlink_to(content)
    assert [os.readlink(side / "l") for side in target.sides] == [content] * 3
    status = os.lstat(target.other / "l")
    assert stat.S_ISLNK(status.st_mode)
    assert status.st_size == len(os.fsencode(content))


def test_links_are_followed_by_the_reader(target: Target) -> None:
    (target.path / "d").mkdir()
    (target.path / "d/f").write_bytes(b"content")
    (target.path / "l").symlink_to("d/f")
    (target.path / "m").symlink_to("d")
    assert (target.other / "l").read_bytes() == b"content"
    assert (target.other / "m/f").read_bytes() == b"content"


def test_a_link_out_of_the_source_leads_out_for_the_reader_only(target: Target) -> None:
    (target.path / "l").symlink_to("/proc/self/comm")
    with open("/proc/self/comm", "rb") as file:
        assert (target.other / "l").read_bytes() == file.read()


def test_a_loop_is_eloop(target: Target) -> None:
    (target.path / "a").symlink_to("b")
    (target.path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        os.stat(target.path / "a")


def test_special_files(target: Target) -> None:
    os.mkfifo(target.path / "fifo", 0o640)
    os.mknod(target.path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(target.path / "sock", stat.S_IFSOCK | 0o600)
    os.mknod(target.path / "plain", stat.S_IFREG | 0o604)
    for side in target.sides:
        assert os.lstat(side / "fifo").st_mode == stat.S_IFIFO | 0o640
        assert os.lstat(side / "null").st_rdev == os.makedev(1, 3)
        assert os.lstat(side / "sock").st_mode == stat.S_IFSOCK | 0o600
        assert os.lstat(side / "plain").st_mode == stat.S_IFREG | 0o604


def test_a_fifo_within_one_view(target: Target) -> None:
    os.mkfifo(target.path / "p")
    _pass_through_fifo(target.path / "p", target.path / "p")


@pytest.mark.gap("fusepy-shared", reason="libfuse 2 makes an inode for each path, so each view has a FIFO of its own")
def test_a_fifo_between_views(target: Target) -> None:
    os.mkfifo(target.path / "p")
    _pass_through_fifo(target.path / "p", target.other / "p")


def _pass_through_fifo(write_side: os.PathLike[str], read_side: os.PathLike[str]) -> None:
    reader = os.open(read_side, os.O_RDONLY | os.O_NONBLOCK)
    try:
        writer = os.open(write_side, os.O_WRONLY | os.O_NONBLOCK)
        os.write(writer, b"through")
        os.close(writer)
        assert os.read(reader, 10) == b"through"
    finally:
        os.close(reader)


def test_a_socket_within_one_view(target: Target) -> None:
    _talk(target.path, target.path)


@pytest.mark.gap(
    "fusepy-shared", reason="libfuse 2 makes an inode for each path, so a socket is bound in one view only"
)
def test_a_socket_between_views(target: Target) -> None:
    _talk(target.path, target.other)


def _talk(bound: os.PathLike[str], connected: os.PathLike[str]) -> None:
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        try:
            os.chdir(bound)
            server.bind("sock")
            server.listen()
            os.chdir(connected)
            client.connect("sock")
        finally:
            os.chdir(here)
        client.sendall(b"hello")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(10) == b"hello"
