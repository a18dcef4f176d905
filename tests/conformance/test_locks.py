"""Record locks and flock, between views and with the host."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.targets import Target


def in_child(action: Callable[[], bool]) -> bool:
    """Say what another process, which owns no lock of ours, finds."""
    pid = os.fork()
    if pid == 0:
        os._exit(10 if action() else 11)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (10, 11)
    return status == 10


def can_lock(path: Path, kind: int, start: int = 0, length: int = 0) -> bool:
    def attempt() -> bool:
        with open(path, "r+b") as file:
            try:
                fcntl.lockf(file, kind | fcntl.LOCK_NB, length, start)
            except OSError as exc:
                assert exc.errno == errno.EAGAIN
                return False
            return True

    return in_child(attempt)


@pytest.fixture
def file(target: Target):
    (target.path / "f").write_bytes(bytes(100))
    with (target.path / "f").open("r+b", buffering=0) as opened:
        yield opened


def test_a_record_lock_holds_on_every_side(target: Target, file) -> None:
    fcntl.lockf(file, fcntl.LOCK_EX, 100, 0)
    for side in target.sides:
        assert not can_lock(side / "f", fcntl.LOCK_EX, 50, 10)
        assert not can_lock(side / "f", fcntl.LOCK_SH, 0, 1)
        assert can_lock(side / "f", fcntl.LOCK_EX, 100, 10)
    fcntl.lockf(file, fcntl.LOCK_UN, 50, 0)
    for side in target.sides:
        assert can_lock(side / "f", fcntl.LOCK_EX, 0, 50)
        assert not can_lock(side / "f", fcntl.LOCK_EX, 50, 50)


def test_shared_locks_stand_beside_each_other(target: Target, file) -> None:
    fcntl.lockf(file, fcntl.LOCK_SH)
    for side in target.sides:
        assert can_lock(side / "f", fcntl.LOCK_SH)
        assert not can_lock(side / "f", fcntl.LOCK_EX)


@pytest.mark.parametrize("side", ["other", "host"])
def test_a_lock_of_another_side_holds_here(target: Target, file, side: str) -> None:
    with (getattr(target, side) / "f").open("r+b") as theirs:
        fcntl.lockf(theirs, fcntl.LOCK_EX, 10, 0)
        assert not can_lock(target.path / "f", fcntl.LOCK_EX, 0, 10)
        assert can_lock(target.path / "f", fcntl.LOCK_EX, 10, 10)


def test_closing_any_descriptor_of_the_file_ends_its_record_locks(target: Target, file) -> None:
    fcntl.lockf(file, fcntl.LOCK_EX)
    os.close(os.open(target.path / "f", os.O_RDONLY))
    assert can_lock(target.other / "f", fcntl.LOCK_EX)


def test_the_death_of_a_process_ends_its_locks(target: Target, file) -> None:
    ready_reader, ready_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with (target.path / "f").open("r+b") as mine:
            fcntl.lockf(mine, fcntl.LOCK_EX)
            os.write(ready_writer, b"x")
            signal.pause()
    os.read(ready_reader, 1)
    assert not can_lock(target.other / "f", fcntl.LOCK_EX)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert can_lock(target.other / "f", fcntl.LOCK_EX)
    os.close(ready_reader)
    os.close(ready_writer)


def test_a_lock_is_turned_from_shared_to_exclusive_and_back(target: Target, file) -> None:
    fcntl.lockf(file, fcntl.LOCK_SH)
    fcntl.lockf(file, fcntl.LOCK_EX)
    assert not can_lock(target.other / "f", fcntl.LOCK_SH)
    fcntl.lockf(file, fcntl.LOCK_SH)
    assert can_lock(target.other / "f", fcntl.LOCK_SH)


@pytest.mark.parametrize("side", ["path", "other", "host"])
def test_a_waiting_lock_is_granted_when_the_holder_lets_go(target: Target, file, side: str) -> None:
    fcntl.lockf(file, fcntl.LOCK_EX)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with (getattr(target, side) / "f").open("r+b") as theirs:
            os.write(writer, b"waiting")
            fcntl.lockf(theirs, fcntl.LOCK_EX)
            os.write(writer, b"granted")
        os._exit(0)
    assert os.read(reader, 7) == b"waiting"
    assert not can_lock(target.path / "f", fcntl.LOCK_SH)
    fcntl.lockf(file, fcntl.LOCK_UN)
    assert os.read(reader, 7) == b"granted"
    assert os.waitpid(pid, 0)[1] == 0
    os.close(reader)
    os.close(writer)


def test_a_wait_for_a_lock_can_be_interrupted(target: Target, file) -> None:
    fcntl.lockf(file, fcntl.LOCK_EX)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(42))
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with (target.other / "f").open("r+b") as theirs:
            fcntl.lockf(theirs, fcntl.LOCK_EX)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
    fcntl.lockf(file, fcntl.LOCK_UN)
    assert can_lock(target.path / "f", fcntl.LOCK_EX)


def test_a_killed_waiter_leaves_no_lock(target: Target, file) -> None:
    fcntl.lockf(file, fcntl.LOCK_EX)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with (target.other / "f").open("r+b") as theirs:
            os.write(writer, b"x")
            fcntl.lockf(theirs, fcntl.LOCK_EX)
        os._exit(0)
    os.read(reader, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    fcntl.lockf(file, fcntl.LOCK_UN)
    assert can_lock(target.path / "f", fcntl.LOCK_EX)
    os.close(reader)
    os.close(writer)


def test_flock_holds_between_descriptors_and_views(target: Target, file) -> None:
    fcntl.flock(file, fcntl.LOCK_EX)
    for side in target.sides:
        with (side / "f").open("rb") as theirs, pytest.raises(BlockingIOError):
            fcntl.flock(theirs, fcntl.LOCK_SH | fcntl.LOCK_NB)
    fcntl.flock(file, fcntl.LOCK_UN)
    with (target.other / "f").open("rb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_closing_ends_flock(target: Target) -> None:
    with (target.path / "f").open("wb") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
    with (target.other / "f").open("rb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_locks_of_one_process_do_not_stop_itself(target: Target, file) -> None:
    fcntl.lockf(file, fcntl.LOCK_EX)
    second = os.open(target.path / "f", os.O_RDWR)
    fcntl.lockf(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(second)
