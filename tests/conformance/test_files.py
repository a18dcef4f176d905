"""Open flags, reading, writing, appending, size."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import threading

import pytest

from tests.conformance.targets import Target


def test_what_is_written_is_read_on_every_side(target: Target) -> None:
    (target.path / "f").write_bytes(b"content")
    assert [(side / "f").read_bytes() for side in target.sides] == [b"content"] * 3


def test_a_host_change_is_seen(target: Target) -> None:
    (target.host / "f").write_bytes(b"one")
    assert (target.path / "f").read_bytes() == b"one"
    (target.host / "f").write_bytes(b"longer than one")
    assert (target.path / "f").read_bytes() == b"longer than one"


def test_large_data_at_odd_offsets(target: Target) -> None:
    data = os.urandom(1_500_001)
    (target.path / "f").write_bytes(data)
    assert (target.other / "f").read_bytes() == data
    with (target.path / "f").open("r+b") as file:
        file.seek(777_777)
        file.write(b"patch")
    assert (target.host / "f").read_bytes() == data[:777_777] + b"patch" + data[777_782:]


def test_reads_stop_at_the_end(target: Target) -> None:
    (target.path / "f").write_bytes(b"abc")
    fd = os.open(target.path / "f", os.O_RDONLY)
    try:
        assert os.pread(fd, 10, 1) == b"bc"
        assert os.pread(fd, 10, 3) == b""
        assert os.pread(fd, 10, 1000) == b""
    finally:
        os.close(fd)


def test_exclusive_create_of_an_existing_file_is_eexist(target: Target) -> None:
    (target.other / "f").write_bytes(b"")
    with pytest.raises(FileExistsError):
        os.open(target.path / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def test_exclusive_create_has_one_winner(target: Target) -> None:
    sides = (target.path, target.other, target.host, target.path)
    for round_number in range(20):
        barrier = threading.Barrier(len(sides))
        won: list[int] = []

        def create(number: int, name: str, barrier: threading.Barrier = barrier, won: list[int] = won) -> None:
            barrier.wait()
            try:
                os.close(os.open(sides[number] / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except FileExistsError:
                return
            won.append(number)

        threads = [threading.Thread(target=create, args=(number, f"f{round_number}")) for number in range(len(sides))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1


def test_create_without_exclusive_opens_what_another_side_made(target: Target) -> None:
    for number in range(30):
        with pytest.raises(FileNotFoundError):
            os.stat(target.path / f"f{number}")
        (target.other / f"f{number}").write_bytes(b"theirs")
        fd = os.open(target.path / f"f{number}", os.O_CREAT | os.O_RDWR)
        assert os.read(fd, 10) == b"theirs"
        os.close(fd)


def test_truncating_open(target: Target) -> None:
    (target.path / "f").write_bytes(b"content")
    os.close(os.open(target.other / "f", os.O_WRONLY | os.O_TRUNC))
    assert [os.stat(side / "f").st_size for side in target.sides] == [0, 0, 0]


def test_nofollow_refuses_a_link(target: Target) -> None:
    (target.path / "link").symlink_to("f")
    with pytest.raises(OSError) as caught:
        os.open(target.path / "link", os.O_RDONLY | os.O_NOFOLLOW)
    assert caught.value.errno == errno.ELOOP


def test_directory_flag_refuses_a_file(target: Target) -> None:
    (target.path / "f").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        os.open(target.path / "f", os.O_RDONLY | os.O_DIRECTORY)


def test_opening_a_directory_for_writing_is_eisdir(target: Target) -> None:
    (target.path / "d").mkdir()
    with pytest.raises(IsADirectoryError):
        os.open(target.path / "d", os.O_WRONLY)


def test_a_missing_file_is_enoent_and_a_file_as_directory_enotdir(target: Target) -> None:
    (target.path / "f").write_bytes(b"")
    with pytest.raises(FileNotFoundError):
        os.open(target.path / "missing", os.O_RDONLY)
    with pytest.raises(NotADirectoryError):
        os.open(target.path / "f" / "x", os.O_RDONLY)


@pytest.mark.parametrize("flags", [os.O_SYNC, os.O_DSYNC, os.O_NONBLOCK, os.O_NOATIME])
def test_other_open_flags_do_no_harm(target: Target, flags: int) -> None:
    fd = os.open(target.path / "f", os.O_CREAT | os.O_RDWR | flags)
    os.write(fd, b"content")
    assert os.pread(fd, 10, 0) == b"content"
    os.close(fd)


def test_two_appenders_do_not_overwrite_each_other(target: Target) -> None:
    (target.path / "f").write_bytes(b"")
    first = os.open(target.path / "f", os.O_WRONLY | os.O_APPEND)
    second = os.open(target.other / "f", os.O_WRONLY | os.O_APPEND)
    third = os.open(target.host / "f", os.O_WRONLY | os.O_APPEND)
    for number in range(50):
        for fd, letter in ((first, "a"), (second, "b"), (third, "c")):
            os.write(fd, f"{letter}{number:03}\n".encode())
    for fd in (first, second, third):
        os.close(fd)
    expected = [f"{letter}{number:03}" for number in range(50) for letter in "abc"]
    assert (target.path / "f").read_text().splitlines() == expected


def test_appending_after_the_host_has_appended(target: Target) -> None:
    fd = os.open(target.path / "f", os.O_CREAT | os.O_RDWR | os.O_APPEND)
    os.write(fd, b"a")
    with (target.host / "f").open("ab") as file:
        file.write(b"bb")
    os.write(fd, b"c")
    assert os.pread(fd, 10, 0) == b"abbc"
    os.close(fd)


def test_truncate_by_path_and_by_handle(target: Target) -> None:
    (target.path / "f").write_bytes(b"0123456789")
    os.truncate(target.path / "f", 4)
    assert [(side / "f").read_bytes() for side in target.sides] == [b"0123"] * 3
    fd = os.open(target.other / "f", os.O_RDWR)
    os.ftruncate(fd, 6)
    os.close(fd)
    assert [(side / "f").read_bytes() for side in target.sides] == [b"0123\0\0"] * 3


def test_an_open_file_sees_what_another_side_writes(target: Target) -> None:
    (target.host / "f").write_bytes(b"before")
    fd = os.open(target.path / "f", os.O_RDONLY)
    assert os.pread(fd, 20, 0) == b"before"
    (target.other / "f").write_bytes(b"after, longer")
    assert os.fstat(fd).st_size == 13
    assert os.pread(fd, 20, 0) == b"after, longer"
    os.close(fd)


def test_offsets_above_four_gigabytes(target: Target) -> None:
    fd = os.open(target.path / "f", os.O_CREAT | os.O_RDWR)
    os.pwrite(fd, b"end", 5 << 30)
    assert os.pread(fd, 10, 5 << 30) == b"end"
    os.close(fd)
    status = os.stat(target.other / "f")
    assert status.st_size == (5 << 30) + 3
    assert status.st_blocks < 100


def test_private_mapping_shows_the_content(target: Target) -> None:
    (target.path / "f").write_bytes(b"mapped" * 1000)
    with (target.path / "f").open("rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as view:
        assert view[:6] == b"mapped"
        assert view[-6:] == b"mapped"


@pytest.mark.gap("fusepy-shared", reason="direct_io: MAP_SHARED is ENODEV before protocol 7.39")
def test_shared_mapping_is_written_back(target: Target) -> None:
    (target.path / "f").write_bytes(b"0123456789")
    with (target.path / "f").open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[2:4] = b"XY"
        view.flush()
    assert (target.other / "f").read_bytes() == b"01XY456789"


def test_direct_io_is_possible(target: Target) -> None:
    (target.path / "f").write_bytes(b"x" * 8192)
    fd = os.open(target.path / "f", os.O_RDONLY | os.O_DIRECT)
    with mmap.mmap(-1, 4096) as aligned:
        assert os.preadv(fd, [aligned], 4096) == 4096
        assert aligned[:3] == b"xxx"
    os.close(fd)


def test_fsync_of_files_and_directories(target: Target) -> None:
    fd = os.open(target.path / "f", os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"content")
    os.fsync(fd)
    os.fdatasync(fd)
    os.close(fd)
    directory = os.open(target.path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(directory)
    os.close(directory)


def test_copy_between_files(target: Target) -> None:
    (target.path / "from").write_bytes(b"0123456789" * 10_000)
    source = os.open(target.path / "from", os.O_RDONLY)
    copy = os.open(target.path / "to", os.O_CREAT | os.O_WRONLY)
    done = 0
    while done < 100_000:
        done += os.copy_file_range(source, copy, 100_000 - done)
    os.close(source)
    os.close(copy)
    assert (target.other / "to").read_bytes() == b"0123456789" * 10_000


def test_a_program_can_be_run(target: Target) -> None:
    script = target.path / "script"
    script.write_bytes(b"#!/bin/sh\nexit 7\n")
    script.chmod(0o755)
    assert os.spawnv(os.P_WAIT, script, [str(script)]) == 7


@pytest.mark.gap("fusepy-shared", "fusepy-private", reason="libfuse 2 has no TMPFILE")
def test_unnamed_temporary_file(target: Target) -> None:
    os.close(os.open(target.path, os.O_TMPFILE | os.O_RDWR))


def test_opening_for_reading_may_truncate(target: Target) -> None:
    (target.path / "f").write_bytes(b"content")
    os.close(os.open(target.path / "f", os.O_RDONLY | os.O_TRUNC))
    assert [(side / "f").read_bytes() for side in target.sides] == [b""] * 3


def test_a_file_can_be_written_and_executed_again_and_again(target: Target) -> None:
    for number in range(3):
        with (target.path / "f").open("wb") as file:
            file.write(b"#!/bin/sh\nexit %d\n" % number)
        (target.path / "f").chmod(0o755)
        for side in target.sides:
            assert subprocess.run([side / "f"], check=False).returncode == number
