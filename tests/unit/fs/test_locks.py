"""Record locks of many owners in one process."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from volfuse.fs import paths
from volfuse.fs.files import FileHandle
from volfuse.fs.handles import HandleTable
from volfuse.fs.locks import LockTable
from volfuse.fs.view import Place
from volfuse.sys.filelock import RecordLock

ALL = RecordLock(fcntl.F_WRLCK, 0, 0)
NONE = RecordLock(fcntl.F_UNLCK, 0, 0)


@pytest.fixture
def handles(at: Callable[[str], Place], tmp_path: Path) -> Iterator[tuple[FileHandle, FileHandle]]:
    (tmp_path / "vol/f").write_bytes(bytes(100))
    table = HandleTable()
    opened = tuple(paths.open_file(at(path), os.O_RDWR) for path in ("v/f", "again/f"))
    for handle in opened:
        table.add_file(handle)
    yield opened[0], opened[1]
    assert table.close_all() == 2


@pytest.fixture
def locks() -> Iterator[LockTable]:
    table = LockTable()
    yield table
    table.close_all()


def test_owners_exclude_each_other_on_every_handle(locks: LockTable, handles: tuple[FileHandle, FileHandle]) -> None:
    locks.set(handles[0], 1, ALL, wait=False)
    for handle in handles:
        with pytest.raises(OSError) as caught:
            locks.set(handle, 2, ALL, wait=False)
        assert caught.value.errno == errno.EAGAIN
        locks.set(handle, 1, RecordLock(fcntl.F_WRLCK, 0, 10), wait=False)
        assert locks.get(handle, 2, RecordLock(fcntl.F_RDLCK, 5, 1)).kind == fcntl.F_WRLCK
        assert locks.get(handle, 1, ALL).kind == fcntl.F_UNLCK


def test_flush_ends_what_its_owner_holds(locks: LockTable, handles: tuple[FileHandle, FileHandle]) -> None:
    locks.set(handles[0], 1, ALL, wait=False)
    locks.release_owner(handles[1], 1)
    locks.set(handles[1], 2, ALL, wait=False)
    locks.release_owner(handles[1], 1)
    with pytest.raises(OSError):
        locks.set(handles[0], 1, ALL, wait=False)


def test_release_ends_what_was_locked_through_the_handle(
    locks: LockTable, handles: tuple[FileHandle, FileHandle]
) -> None:
    locks.set(handles[0], 1, ALL, wait=False)
    locks.release_handle(handles[0])
    assert len(locks) == 0
    locks.set(handles[1], 2, ALL, wait=False)


def test_unlocking_what_is_not_locked_keeps_nothing(locks: LockTable, handles: tuple[FileHandle, FileHandle]) -> None:
    locks.set(handles[0], 1, NONE, wait=False)
    assert len(locks) == 0


def test_a_lock_of_the_process_itself_on_the_source_counts(
    locks: LockTable, handles: tuple[FileHandle, FileHandle], tmp_path: Path
) -> None:
    with open(tmp_path / "vol/f", "r+b") as host:
        fcntl.lockf(host, fcntl.LOCK_EX)
        with pytest.raises(OSError):
            locks.set(handles[0], 1, ALL, wait=False)
