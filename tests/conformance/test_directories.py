"""Making, listing and removing directories."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.conformance.targets import Target


def listing(path: Path) -> set[str]:
    return set(os.listdir(path))


def test_mkdir_and_rmdir_show_on_every_side(target: Target) -> None:
    (target.path / "d").mkdir()
    assert [listing(side) for side in target.sides] == [{"d"}] * 3
    (target.other / "d").rmdir()
    assert [listing(side) for side in target.sides] == [set()] * 3


def test_mkdir_over_anything_is_eexist(target: Target) -> None:
    (target.path / "d").mkdir()
    (target.path / "f").write_bytes(b"")
    (target.path / "l").symlink_to("nowhere")
    for name in ("d", "f", "l"):
        with pytest.raises(FileExistsError):
            (target.path / name).mkdir()


def test_rmdir_of_a_full_directory_is_enotempty(target: Target) -> None:
    (target.path / "d/e").mkdir(parents=True)
    with pytest.raises(OSError) as caught:
        (target.path / "d").rmdir()
    assert caught.value.errno == errno.ENOTEMPTY


def test_rmdir_of_a_file_is_enotdir_and_unlink_of_a_directory_eisdir(target: Target) -> None:
    (target.path / "d").mkdir()
    (target.path / "f").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        os.rmdir(target.path / "f")
    with pytest.raises(IsADirectoryError):
        os.unlink(target.path / "d")


def test_link_counts_of_directories(target: Target) -> None:
    (target.path / "d").mkdir()
    assert os.stat(target.path / "d").st_nlink == 2
    (target.other / "d/e").mkdir()
    assert os.stat(target.path / "d").st_nlink == 3


def test_thousands_of_entries_come_once_each(target: Target) -> None:
    names = {f"file-{number:05}-{'x' * (number % 90)}" for number in range(3000)}
    for name in names:
        (target.host / name).touch()
    found = os.listdir(target.path)
    assert len(found) == 3000
    assert set(found) == names


def test_types_and_numbers_agree_with_stat(target: Target) -> None:
    (target.path / "d").mkdir()
    (target.path / "f").write_bytes(b"")
    (target.path / "l").symlink_to("f")
    os.mkfifo(target.path / "p")
    with os.scandir(target.path) as entries:
        found = {
            entry.name: (entry.inode(), entry.is_dir(follow_symlinks=False), entry.is_symlink()) for entry in entries
        }
    assert {name: kinds[1:] for name, kinds in found.items()} == {
        "d": (True, False),
        "f": (False, False),
        "l": (False, True),
        "p": (False, False),
    }
    assert {name: values[0] for name, values in found.items()} == {
        name: os.lstat(target.path / name).st_ino for name in found
    }


def test_numbers_are_the_same_in_both_views(target: Target) -> None:
    (target.path / "d").mkdir()
    (target.path / "f").write_bytes(b"")
    for name in ("d", "f", "."):
        assert os.stat(target.path / name).st_ino == os.stat(target.other / name).st_ino


def test_an_open_directory_rewound_sees_what_came(target: Target) -> None:
    (target.path / "a").touch()
    fd = os.open(target.path, os.O_RDONLY | os.O_DIRECTORY)
    assert os.listdir(fd) == ["a"]
    (target.other / "b").touch()
    assert sorted(os.listdir(fd)) == ["a", "b"]
    os.close(fd)


def test_deleting_while_listing_visits_everything(target: Target) -> None:
    for number in range(700):
        (target.host / f"f{number}").touch()
    with os.scandir(target.path) as entries:
        for entry in entries:
            os.unlink(target.path / entry.name)
    assert os.listdir(target.host) == []


def test_dot_and_dotdot_lead_where_they_should(target: Target) -> None:
    (target.path / "d/e").mkdir(parents=True)
    assert os.stat(target.path / "d/e/..").st_ino == os.stat(target.path / "d").st_ino
    assert os.stat(target.path / "d/.").st_ino == os.stat(target.path / "d").st_ino
    fd = os.open(target.path / "d", os.O_RDONLY | os.O_DIRECTORY)
    above = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
    assert os.listdir(above) == ["d"]
    os.close(fd)
    os.close(above)


def test_changes_touch_the_directory(target: Target) -> None:
    os.utime(target.path, ns=(1, 1))
    (target.path / "f").touch()
    assert os.stat(target.path).st_mtime_ns > 1
    os.utime(target.path, ns=(1, 1))
    (target.other / "f").unlink()
    assert os.stat(target.path).st_mtime_ns > 1


def test_sticky_and_setgid_bits(target: Target) -> None:
    (target.path / "d").mkdir()
    (target.path / "d").chmod(0o3775)
    assert stat.S_IMODE(os.stat(target.other / "d").st_mode) == 0o3775


def test_a_removed_working_directory_is_gone(target: Target) -> None:
    (target.path / "d").mkdir()
    fd = os.open(target.path / "d", os.O_RDONLY | os.O_DIRECTORY)
    (target.path / "d").rmdir()
    with pytest.raises(FileNotFoundError):
        os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.close(fd)


@pytest.mark.gap(
    "fusepy-shared", reason="libfuse 2 knows directories by path: one renamed by another view is lost to its users"
)
def test_a_working_directory_renamed_elsewhere_still_works(target: Target) -> None:
    (target.path / "d").mkdir()
    fd = os.open(target.path / "d", os.O_RDONLY | os.O_DIRECTORY)
    try:
        (target.other / "d").rename(target.other / "e")
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        assert os.listdir(target.host / "e") == ["f"]
    finally:
        os.close(fd)


def test_deep_trees(target: Target) -> None:
    deep = target.path.joinpath(*["d" * 40] * 40)
    deep.mkdir(parents=True)
    (deep / "f").write_bytes(b"deep")
    assert target.other.joinpath(*["d" * 40] * 40, "f").read_bytes() == b"deep"
