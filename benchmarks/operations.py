"""The operations that are measured, each on a directory that a target gives.

An operation prepares what it needs in the directory and returns a function; each call of it does the operation
`count` times. A unit is one operation, or for streams one mebibyte.
"""

from __future__ import annotations

import mmap
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OPERATIONS", "Operation"]

Run = Callable[[int], None]

_BLOCK = b"x" * 4096
_MEBIBYTE = 1 << 20
_ENTRIES = 100
_STREAM_MEBIBYTES = 16
_PAGES = _MEBIBYTE // 4096


@dataclass(frozen=True, slots=True)
class Operation:
    """A named operation.

    Attributes:
        prepare: takes an empty directory; what it opens there is closed with what it returns.
        count: how often it is done in a round of fixed length.
        step: how often it is done at least; `count` is a multiple of it.
    """

    name: str
    prepare: Callable[[Path], Run]
    count: int
    step: int = 1


def _in_order(size: int) -> list[int]:
    return list(range(0, size, 4096))


def _at_random(size: int) -> list[int]:
    offsets = _in_order(size)
    random.Random(0).shuffle(offsets)
    return offsets


def _file(directory: Path, size: int = 4096) -> str:
    path = directory / "file"
    path.write_bytes(b"x" * size)
    return str(path)


def _stat(directory: Path) -> Run:
    path = _file(directory)

    def run(count: int) -> None:
        for _ in range(count):
            os.stat(path)

    return run


def _stat_missing(directory: Path) -> Run:
    path = str(directory / "missing")

    def run(count: int) -> None:
        for _ in range(count):
            os.path.lexists(path)

    return run


def _access(directory: Path) -> Run:
    path = _file(directory)

    def run(count: int) -> None:
        for _ in range(count):
            os.access(path, os.R_OK)

    return run


def _open_close(directory: Path) -> Run:
    path = _file(directory)

    def run(count: int) -> None:
        for _ in range(count):
            os.close(os.open(path, os.O_RDONLY))

    return run


def _open_read_close(directory: Path) -> Run:
    path = _file(directory)

    def run(count: int) -> None:
        for _ in range(count):
            fd = os.open(path, os.O_RDONLY)
            os.read(fd, 4096)
            os.close(fd)

    return run


def _create_unlink(directory: Path) -> Run:
    path = str(directory / "new")

    def run(count: int) -> None:
        for _ in range(count):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.unlink(path)

    return run


def _mkdir_rmdir(directory: Path) -> Run:
    path = str(directory / "new")

    def run(count: int) -> None:
        for _ in range(count):
            os.mkdir(path)
            os.rmdir(path)

    return run


def _rename(directory: Path) -> Run:
    names = [_file(directory), str(directory / "renamed")]

    def run(count: int) -> None:
        for _ in range(count):
            os.rename(names[0], names[1])
            names.reverse()

    return run


def _listdir(directory: Path) -> Run:
    _fill(directory)

    def run(count: int) -> None:
        for _ in range(count):
            os.listdir(directory)

    return run


def _scandir_stat(directory: Path) -> Run:
    _fill(directory)

    def run(count: int) -> None:
        for _ in range(count // _ENTRIES):
            for entry in os.scandir(directory):
                entry.stat(follow_symlinks=False)

    return run


def _fill(directory: Path) -> None:
    for number in range(_ENTRIES):
        (directory / f"entry{number}").write_bytes(b"")


def _statfs(directory: Path) -> Run:
    def run(count: int) -> None:
        for _ in range(count):
            os.statvfs(directory)

    return run


def _pread(directory: Path, size: int = _MEBIBYTE, order: Callable[[int], list[int]] = _in_order) -> Run:
    file = open(_file(directory, size), "rb", buffering=0)  # noqa: SIM115
    offsets = order(size)

    def run(count: int) -> None:
        fd = file.fileno()
        for number in range(count):
            os.pread(fd, 4096, offsets[number % len(offsets)])

    return run


def _pwrite(directory: Path, size: int = _MEBIBYTE, order: Callable[[int], list[int]] = _in_order) -> Run:
    file = open(_file(directory, size), "r+b", buffering=0)  # noqa: SIM115
    offsets = order(size)

    def run(count: int) -> None:
        fd = file.fileno()
        for number in range(count):
            os.pwrite(fd, _BLOCK, offsets[number % len(offsets)])

    return run


def _random_pread(directory: Path) -> Run:
    return _pread(directory, _STREAM_MEBIBYTES * _MEBIBYTE, _at_random)


def _random_pwrite(directory: Path) -> Run:
    return _pwrite(directory, _STREAM_MEBIBYTES * _MEBIBYTE, _at_random)


def _mmap_read(directory: Path) -> Run:
    """Map a mebibyte anew, so that each page is a fault, or a part of one."""
    file = open(_file(directory, _MEBIBYTE), "rb", buffering=0)  # noqa: SIM115

    def run(count: int) -> None:
        for _ in range(count // _PAGES):
            with mmap.mmap(file.fileno(), _MEBIBYTE, mmap.MAP_SHARED, mmap.PROT_READ) as pages:
                pages[::4096]

    return run


def _read_stream(directory: Path) -> Run:
    file = open(_file(directory, _STREAM_MEBIBYTES * _MEBIBYTE), "rb", buffering=0)  # noqa: SIM115

    def run(count: int) -> None:
        for _ in range(count // _STREAM_MEBIBYTES):
            file.seek(0)
            while file.read(_MEBIBYTE):
                pass

    return run


def _write_stream(directory: Path) -> Run:
    """Write over what is there: a file that is truncated waits for the disk, which is busy with all targets' data."""
    file = open(_file(directory, _STREAM_MEBIBYTES * _MEBIBYTE), "r+b", buffering=0)  # noqa: SIM115
    block = b"x" * _MEBIBYTE

    def run(count: int) -> None:
        for _ in range(count // _STREAM_MEBIBYTES):
            file.seek(0)
            for _ in range(_STREAM_MEBIBYTES):
                file.write(block)

    return run


OPERATIONS = (
    Operation("stat", _stat, 2000),
    Operation("stat, missing name", _stat_missing, 2000),
    Operation("access", _access, 2000),
    Operation("open+close", _open_close, 1000),
    Operation("open+read+close", _open_read_close, 1000),
    Operation("create+unlink", _create_unlink, 500),
    Operation("mkdir+rmdir", _mkdir_rmdir, 500),
    Operation("rename", _rename, 1000),
    Operation("listdir, 100 entries", _listdir, 100),
    Operation("scandir+stat, per entry", _scandir_stat, 1000, _ENTRIES),
    Operation("statfs", _statfs, 1000),
    Operation("pread 4k", _pread, 5000),
    Operation("pwrite 4k", _pwrite, 5000),
    Operation("random read 4k", _random_pread, 5000),
    Operation("random write 4k", _random_pwrite, 5000),
    Operation("mmap read, per page", _mmap_read, 10 * _PAGES, _PAGES),
    Operation("read stream, per MiB", _read_stream, 256, _STREAM_MEBIBYTES),
    Operation("write stream, per MiB", _write_stream, 64, _STREAM_MEBIBYTES),
)
