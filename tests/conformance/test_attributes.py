"""Mode, owner, times, extended attributes, figures."""

from __future__ import annotations

import errno
import os
import stat
import subprocess

import pytest

from tests.conformance.targets import Target


def modes(target: Target, name: str) -> list[int]:
    return [stat.S_IMODE(os.stat(side / name).st_mode) for side in target.sides]


@pytest.mark.parametrize("mode", [0, 0o600, 0o644, 0o755, 0o4755, 0o2755, 0o1777, 0o7777])
def test_chmod_shows_on_every_side(target: Target, mode: int) -> None:
    (target.path / "f").touch()
    os.chmod(target.path / "f", mode)
    assert modes(target, "f") == [mode] * 3


def test_chmod_by_handle_and_on_another_side(target: Target) -> None:
    fd = os.open(target.path / "f", os.O_CREAT | os.O_RDWR)
    os.chmod(target.other / "f", 0o640)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o640
    os.fchmod(fd, 0o604)
    os.close(fd)
    assert modes(target, "f") == [0o604] * 3


def test_chown_shows_on_every_side_and_takes_one_of_two(target: Target) -> None:
    (target.path / "f").touch()
    os.chown(target.path / "f", 12, 34)
    os.chown(target.path / "f", -1, 35)
    os.chown(target.other / "f", 13, -1)
    assert [(os.stat(side / "f").st_uid, os.stat(side / "f").st_gid) for side in target.sides] == [(13, 35)] * 3


def test_chown_of_large_ids(target: Target) -> None:
    (target.path / "f").touch()
    os.chown(target.path / "f", 4_000_000_000, 3_000_000_000)
    status = os.stat(target.other / "f")
    assert (status.st_uid, status.st_gid) == (4_000_000_000, 3_000_000_000)


def test_chown_of_a_link_itself(target: Target) -> None:
    (target.path / "l").symlink_to("nowhere")
    os.lchown(target.path / "l", 5, 6)
    status = os.lstat(target.other / "l")
    assert (status.st_uid, status.st_gid) == (5, 6)


@pytest.mark.parametrize(("before", "after"), [(0o4755, 0o755), (0o6755, 0o755), (0o2644, 0o2644)])
def test_chown_clears_set_user_id(target: Target, before: int, after: int) -> None:
    (target.path / "f").touch()
    os.chmod(target.path / "f", before)
    os.chown(target.path / "f", 12, 34)
    assert modes(target, "f") == [after] * 3


def test_times_have_nanoseconds_and_may_be_before_1970(target: Target) -> None:
    (target.path / "f").touch()
    for times in ((1_000_000_000_123_456_789, 1_100_000_000_987_654_321), (-1_000_000_000, -4_500_000_000), (0, 1)):
        os.utime(target.path / "f", ns=times)
        for side in target.sides:
            status = os.stat(side / "f")
            assert (status.st_atime_ns, status.st_mtime_ns) == times


def test_times_of_a_link_itself(target: Target) -> None:
    (target.path / "l").symlink_to("nowhere")
    os.utime(target.path / "l", ns=(7_000_000_007, 8_000_000_008), follow_symlinks=False)
    assert os.lstat(target.other / "l").st_mtime_ns == 8_000_000_008


def test_one_time_can_be_set_and_the_other_left(target: Target) -> None:
    (target.path / "f").touch()
    os.utime(target.path / "f", ns=(1_000_000_001, 2_000_000_002))
    subprocess.run(["touch", "-m", "-d", "@5", target.path / "f"], check=True)
    status = os.stat(target.other / "f")
    assert (status.st_atime_ns, status.st_mtime_ns) == (1_000_000_001, 5_000_000_000)
    subprocess.run(["touch", "-a", "-d", "@6", target.path / "f"], check=True)
    status = os.stat(target.other / "f")
    assert (status.st_atime_ns, status.st_mtime_ns) == (6_000_000_000, 5_000_000_000)


def test_times_can_be_set_to_now(target: Target) -> None:
    (target.path / "f").touch()
    os.utime(target.path / "f", ns=(1, 1))
    os.utime(target.path / "f")
    assert os.stat(target.other / "f").st_mtime_ns > 1_600_000_000_000_000_000


def test_changes_touch_the_change_time(target: Target) -> None:
    (target.path / "f").touch()
    before = os.stat(target.path / "f").st_ctime_ns
    while os.stat(target.path / "f").st_ctime_ns == before:  # until the file system's clock has ticked
        os.chmod(target.other / "f", 0o600)
    assert os.stat(target.path / "f").st_ctime_ns == os.stat(target.host / "f").st_ctime_ns


def test_writing_touches_the_modification_time(target: Target) -> None:
    (target.path / "f").touch()
    os.utime(target.path / "f", ns=(1, 1))
    (target.other / "f").write_bytes(b"x")
    assert os.stat(target.path / "f").st_mtime_ns > 1


def test_every_field_is_the_sources(target: Target) -> None:
    (target.path / "f").write_bytes(b"x" * 10_000)
    os.sync()
    shown, real = os.stat(target.path / "f"), os.stat(target.host / "f")
    for field in ("mode", "nlink", "uid", "gid", "size", "blocks", "atime_ns", "mtime_ns", "ctime_ns"):
        assert getattr(shown, f"st_{field}") == getattr(real, f"st_{field}"), field


def test_extended_attributes(target: Target) -> None:
    (target.path / "f").touch()
    os.setxattr(target.path / "f", "user.one", b"1")
    os.setxattr(target.other / "f", "user.two", b"\0\xff" * 1000)
    os.setxattr(target.path / "f", b"user.\xff\xfe", b"")
    for side in target.sides:
        assert sorted(os.listxattr(os.fsencode(side / "f"))) == ["user.one", "user.two", "user.\udcff\udcfe"]
        assert os.getxattr(side / "f", "user.two") == b"\0\xff" * 1000
    os.removexattr(target.path / "f", "user.one")
    with pytest.raises(OSError) as caught:
        os.getxattr(target.other / "f", "user.one")
    assert caught.value.errno == errno.ENODATA
    with pytest.raises(OSError) as caught:
        os.removexattr(target.path / "f", "user.one")
    assert caught.value.errno == errno.ENODATA


def test_extended_attributes_of_directories(target: Target) -> None:
    os.setxattr(target.path, "user.key", b"value")
    assert os.getxattr(target.other, "user.key") == b"value"


def test_create_and_replace_flags_of_extended_attributes(target: Target) -> None:
    (target.path / "f").touch()
    with pytest.raises(OSError) as caught:
        os.setxattr(target.path / "f", "user.key", b"", os.XATTR_REPLACE)
    assert caught.value.errno == errno.ENODATA
    os.setxattr(target.path / "f", "user.key", b"", os.XATTR_CREATE)
    with pytest.raises(FileExistsError):
        os.setxattr(target.path / "f", "user.key", b"", os.XATTR_CREATE)


def test_user_attributes_of_a_link_are_eperm(target: Target) -> None:
    (target.path / "l").symlink_to("nowhere")
    with pytest.raises(PermissionError):
        os.setxattr(target.path / "l", "user.key", b"", follow_symlinks=False)


def test_trusted_attributes_of_a_link_itself(target: Target) -> None:
    (target.path / "l").symlink_to("nowhere")
    os.setxattr(target.path / "l", "trusted.key", b"value", follow_symlinks=False)
    assert os.getxattr(target.other / "l", "trusted.key", follow_symlinks=False) == b"value"


def test_figures_of_the_file_system(target: Target) -> None:
    shown, real = os.statvfs(target.path), os.statvfs(target.host)
    for field in ("f_bsize", "f_frsize", "f_blocks", "f_files", "f_namemax"):
        assert getattr(shown, field) == getattr(real, field), field


def test_access_of_root(target: Target) -> None:
    (target.path / "f").touch(mode=0o400)
    assert os.access(target.path / "f", os.R_OK | os.W_OK)
    assert not os.access(target.path / "f", os.X_OK)
    assert not os.access(target.path / "missing", os.F_OK)
