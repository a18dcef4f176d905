"""What other users may do, and what belongs to them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.targets import Target, as_user


def make(path: Path) -> None:
    os.close(os.open(path / "file", os.O_CREAT | os.O_WRONLY, 0o666))
    os.mkdir(path / "directory", 0o777)
    os.symlink("x", path / "link")
    os.mkfifo(path / "fifo", 0o666)
    os.mknod(path / "node", stat.S_IFREG | 0o666)


@pytest.mark.parametrize(
    ("umask", "file", "directory"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0, 0o666, 0o777)]
)
def test_what_is_made_belongs_to_its_maker(target: Target, umask: int, file: int, directory: int) -> None:
    target.path.chmod(0o777)
    as_user(1000, 2000, lambda: make(target.path), umask)
    for side in target.sides:
        for name in ("file", "directory", "link", "fifo", "node"):
            status = os.lstat(side / name)
            assert (status.st_uid, status.st_gid) == (1000, 2000)
        assert stat.S_IMODE(os.lstat(side / "file").st_mode) == file
        assert stat.S_IMODE(os.lstat(side / "node").st_mode) == file
        assert stat.S_IMODE(os.lstat(side / "directory").st_mode) == directory


def test_a_set_gid_directory_hands_on_its_group(target: Target) -> None:
    target.path.chmod(0o2777)
    os.chown(target.path, 0, 4000)
    os.chmod(target.path, 0o2777)
    as_user(1000, 2000, lambda: make(target.path))
    for name in ("file", "directory", "link", "fifo", "node"):
        assert os.lstat(target.other / name).st_gid == 4000
    assert stat.S_IMODE(os.stat(target.other / "directory").st_mode) == 0o2755


def test_root_can_use_what_others_own(target: Target) -> None:
    target.path.chmod(0o777)
    as_user(1000, 2000, lambda: make(target.path), umask=0o777)
    (target.other / "file").write_bytes(b"content")
    assert (target.path / "file").read_bytes() == b"content"


@pytest.fixture
def guarded(target: Target) -> Target:
    """Root's directory, anybody's to write, with root's own files in it."""
    target.path.chmod(0o777)
    (target.path / "secret").write_bytes(b"secret")
    (target.path / "secret").chmod(0o600)
    (target.path / "closed").mkdir(mode=0o700)
    (target.path / "closed/f").touch()
    (target.path / "readable").write_bytes(b"readable")
    (target.path / "readable").chmod(0o644)
    return target


DENIED: dict[str, Callable[[Path], object]] = {
    "open to read": lambda path: os.open(path / "secret", os.O_RDONLY),
    "open to write": lambda path: os.open(path / "readable", os.O_WRONLY),
    "truncate": lambda path: os.truncate(path / "readable", 0),
    "truncating open": lambda path: os.open(path / "readable", os.O_WRONLY | os.O_TRUNC),
    "create below": lambda path: os.open(path / "closed/new", os.O_CREAT | os.O_WRONLY),
    "stat below": lambda path: os.stat(path / "closed/f"),
    "list": lambda path: os.listdir(path / "closed"),
    "chmod": lambda path: os.chmod(path / "readable", 0o777),
    "chown": lambda path: os.chown(path / "readable", 1000, 1000),
    "utime": lambda path: os.utime(path / "readable", ns=(1, 1)),
    "touch": lambda path: os.utime(path / "readable"),
    "setxattr": lambda path: os.setxattr(path / "readable", "user.key", b""),
    "getxattr": lambda path: os.getxattr(path / "secret", "user.key"),
    "chdir": lambda path: os.chdir(path / "closed"),
    "device": lambda path: os.mknod(path / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3)),
    "hard link into": lambda path: os.link(path / "readable", path / "closed/l"),
    "rename into": lambda path: os.rename(path / "readable", path / "closed/l"),
    "trusted attribute": lambda path: os.setxattr(path, "trusted.key", b""),
}


@pytest.mark.parametrize("action", DENIED.values(), ids=DENIED.keys())
def test_what_others_may_not(guarded: Target, action: Callable[[Path], object]) -> None:
    with pytest.raises(PermissionError):
        as_user(1000, 1000, lambda: action(guarded.path) and None)


def test_what_others_may(guarded: Target) -> None:
    def use() -> bytes:
        os.rename(guarded.path / "secret", guarded.path / "moved")
        os.unlink(guarded.path / "moved")
        with open(guarded.path / "readable", "rb") as file:
            return file.read()

    assert as_user(1000, 1000, use) == b"readable"
    assert not os.access(guarded.host / "moved", os.F_OK)


def test_access_for_others(guarded: Target) -> None:
    def look() -> list[bool]:
        return [os.access(guarded.path / name, mask) for name, mask in (("secret", os.R_OK), ("readable", os.R_OK))]

    assert as_user(1000, 1000, look) == [False, True]


def test_sticky_directories_protect_what_others_own(guarded: Target) -> None:
    guarded.path.chmod(0o1777)
    as_user(1000, 1000, lambda: (guarded.path / "mine").touch())
    with pytest.raises(PermissionError):
        as_user(1001, 1001, lambda: os.unlink(guarded.path / "mine"))
    with pytest.raises(PermissionError):
        as_user(1001, 1001, lambda: os.rename(guarded.path / "secret", guarded.path / "x"))
    as_user(1000, 1000, lambda: os.unlink(guarded.path / "mine"))


def test_a_supplementary_group_counts(guarded: Target) -> None:
    os.chown(guarded.path / "secret", 0, 5000)
    os.chmod(guarded.path / "secret", 0o640)

    def read() -> bytes:
        with open(guarded.path / "secret", "rb") as file:
            return file.read()

    assert as_user(1000, 5000, read) == b"secret"
    with pytest.raises(PermissionError):
        as_user(1000, 1000, read)


def test_owners_change_their_own(target: Target) -> None:
    target.path.chmod(0o777)

    def change() -> None:
        path = target.path / "f"
        path.touch()
        os.chmod(path, 0o400)
        os.utime(path, ns=(1, 1))
        os.chmod(path, 0o6755)

    as_user(1000, 1000, change)
    assert stat.S_IMODE(os.stat(target.other / "f").st_mode) == 0o6755
    with pytest.raises(PermissionError):
        as_user(1000, 1000, lambda: os.chown(target.path / "f", 1001, -1))


def test_chmod_drops_set_gid_for_a_group_one_is_not_in(target: Target) -> None:
    (target.path / "f").touch()
    os.chown(target.path / "f", 1000, 7000)
    as_user(1000, 1000, lambda: os.chmod(target.path / "f", 0o2755))
    assert stat.S_IMODE(os.stat(target.other / "f").st_mode) == 0o755


def test_writing_by_others_clears_set_user_id(target: Target) -> None:
    def write() -> None:
        fd = os.open(target.path / "f", os.O_WRONLY)
        os.write(fd, b"x")
        os.close(fd)

    (target.path / "f").touch()
    os.chmod(target.path / "f", 0o6777)
    as_user(1000, 1000, write)
    assert stat.S_IMODE(os.stat(target.other / "f").st_mode) == 0o777


def test_truncating_by_others_clears_set_user_id(target: Target) -> None:
    (target.path / "f").write_bytes(b"content")
    os.chmod(target.path / "f", 0o6777)
    as_user(1000, 1000, lambda: os.truncate(target.path / "f", 1))
    assert stat.S_IMODE(os.stat(target.other / "f").st_mode) == 0o777


def test_writing_by_root_keeps_set_user_id(target: Target) -> None:
    (target.path / "f").touch()
    os.chmod(target.path / "f", 0o4755)
    with (target.path / "f").open("r+b") as file:
        file.write(b"x")
    assert stat.S_IMODE(os.stat(target.other / "f").st_mode) == 0o4755
