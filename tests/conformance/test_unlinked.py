"""Files that have lost their name while they are open."""

from __future__ import annotations

import fcntl
import os
import stat

import pytest

from tests.conformance.targets import Target


@pytest.fixture
def unlinked(target: Target):
    fd = os.open(target.path / "f", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(fd, b"content")
    os.unlink(target.path / "f")
    yield fd
    os.close(fd)
    assert [os.listdir(side) for side in target.sides] == [[]] * 3


def test_nothing_of_it_shows(target: Target, unlinked: int) -> None:
    assert [os.listdir(side) for side in target.sides] == [[]] * 3
    with pytest.raises(FileNotFoundError):
        os.stat(target.path / "f")


def test_reading_and_writing_go_on(target: Target, unlinked: int) -> None:
    assert os.pread(unlinked, 10, 0) == b"content"
    os.pwrite(unlinked, b"CON", 0)
    assert os.pread(unlinked, 10, 0) == b"CONtent"


def test_attributes_go_on(target: Target, unlinked: int) -> None:
    os.fchmod(unlinked, 0o600)
    os.fchown(unlinked, 12, 34)
    os.ftruncate(unlinked, 3)
    os.utime(unlinked, ns=(1_000_000_001, 2_000_000_002))
    status = os.fstat(unlinked)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert (status.st_uid, status.st_gid, status.st_size, status.st_nlink) == (12, 34, 3, 0)
    assert (status.st_atime_ns, status.st_mtime_ns) == (1_000_000_001, 2_000_000_002)


def test_extended_attributes_and_locks_go_on(target: Target, unlinked: int) -> None:
    os.setxattr(unlinked, "user.key", b"value")
    assert os.getxattr(unlinked, "user.key") == b"value"
    assert os.listxattr(unlinked) == ["user.key"]
    os.removexattr(unlinked, "user.key")
    fcntl.lockf(unlinked, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.fsync(unlinked)
    assert os.fstatvfs(unlinked).f_namemax == 255


def test_it_can_be_opened_again_by_its_descriptor(target: Target, unlinked: int) -> None:
    again = os.open(f"/proc/self/fd/{unlinked}", os.O_RDWR)
    assert os.read(again, 10) == b"content"
    os.close(again)


def test_its_name_can_be_used_again(target: Target, unlinked: int) -> None:
    (target.path / "f").write_bytes(b"another")
    assert os.pread(unlinked, 10, 0) == b"content"
    assert os.fstat(unlinked).st_nlink == 0
    assert (target.other / "f").read_bytes() == b"another"
    (target.path / "f").unlink()


def test_its_directory_can_be_removed(target: Target) -> None:
    (target.path / "d").mkdir()
    fd = os.open(target.path / "d/f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"content")
    os.unlink(target.path / "d/f")
    os.rmdir(target.path / "d")
    assert os.pread(fd, 10, 0) == b"content"
    os.close(fd)


def test_its_directory_can_be_renamed(target: Target) -> None:
    (target.path / "d").mkdir()
    fd = os.open(target.path / "d/f", os.O_CREAT | os.O_RDWR)
    os.unlink(target.path / "d/f")
    os.rename(target.path / "d", target.path / "e")
    os.fchmod(fd, 0o600)
    assert os.fstat(fd).st_nlink == 0
    os.close(fd)
    os.rmdir(target.other / "e")


def test_one_of_two_links_is_removed(target: Target) -> None:
    fd = os.open(target.path / "f", os.O_CREAT | os.O_RDWR)
    os.link(target.path / "f", target.path / "g")
    os.unlink(target.path / "f")
    assert os.fstat(fd).st_nlink == 1
    os.write(fd, b"content")
    os.close(fd)
    assert (target.other / "g").read_bytes() == b"content"


def test_unlinked_twice_over(target: Target) -> None:
    fds = []
    for number in range(3):
        fd = os.open(target.path / "f", os.O_CREAT | os.O_EXCL | os.O_RDWR)
        os.write(fd, b"%d" % number)
        os.unlink(target.path / "f")
        fds.append(fd)
    assert [os.pread(fd, 10, 0) for fd in fds] == [b"0", b"1", b"2"]
    assert [os.listdir(side) for side in target.sides] == [[]] * 3
    for fd in fds:
        os.close(fd)


def test_unlinked_on_another_side_it_can_be_read_and_written(target: Target) -> None:
    fd = os.open(target.path / "f", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"content")
    os.unlink(target.other / "f")
    assert os.pread(fd, 10, 0) == b"content"
    os.pwrite(fd, b"CON", 0)
    assert os.pread(fd, 10, 0) == b"CONtent"
    os.close(fd)


@pytest.mark.gap("fusepy-shared", reason="libfuse 2 asks for attributes by path, and the path is gone")
def test_unlinked_on_another_side_it_has_attributes(target: Target) -> None:
    fd = os.open(target.path / "f", os.O_CREAT | os.O_RDWR)
    try:
        os.unlink(target.other / "f")
        assert os.fstat(fd).st_nlink == 0
    finally:
        os.close(fd)
