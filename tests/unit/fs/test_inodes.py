"""Inode numbers: the same for the same file, never the same for two."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from volfuse.fs.inodes import InodeNumbers, combine, synthetic_inode

STATE = 100

pairs = st.tuples(st.integers(0, 1000), st.integers(90, 110), st.integers(1, 2**63 - 1))


def test_the_state_roots_device_keeps_its_numbers() -> None:
    assert combine(InodeNumbers(STATE).space(0, STATE), 12345) == 12345
    assert combine(InodeNumbers(STATE).space(0, STATE), 2**50) == 2**50


def test_a_tag_is_the_upper_part() -> None:
    assert combine(InodeNumbers(STATE).space(7, STATE), 5) == 7 << 40 | 5


@given(st.lists(pairs, max_size=60, unique=True))
def test_files_do_not_share_a_number(files: list[tuple[int, int, int]]) -> None:
    numbers = InodeNumbers(STATE)
    # Of the untagged device itself only real file systems' numbers come, which are below 2^40.
    files = [file for file in files if file[:2] != (0, STATE) or file[2] < 2**40]
    shown = [combine(numbers.space(tag, device), inode) for tag, device, inode in files]
    assert len(set(shown)) == len(files)
    assert all(0 < number < 2**63 for number in shown)
    assert shown == [combine(numbers.space(tag, device), inode) for tag, device, inode in files]


def test_two_devices_of_one_tag_stay_apart() -> None:
    numbers = InodeNumbers(STATE)
    assert numbers.space(7, 1) == 7
    assert numbers.space(7, 2) not in (0, 7)
    numbers.forget(7, 1)
    assert numbers.space(7, 3) == 7


def test_foreign_devices_are_numbered_alike_after_a_restart() -> None:
    assert InodeNumbers(STATE).space(0, 55) == InodeNumbers(STATE).space(0, 55) != 0


def test_synthetic_directories_differ_by_view_and_path() -> None:
    assert len({synthetic_inode(view, path) for view in ("a", "b") for path in (b"", b"x", b"x/y")}) == 6
