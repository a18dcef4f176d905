"""A program that writes as a database server does: argv is kind, directory, number of the writer, transactions.

`sqlite` uses SQLite with a write-ahead log. `pages` does in small what PostgreSQL does: a record lock, a counter in
shared memory (a mapped file), a log that is appended to and synchronised, a page of a data file that is overwritten.
It says each transaction that is done on stdout.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sqlite3
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

RECORD = struct.Struct("<QIII")
"""Sequence number, writer, number of its transaction, checksum of what comes before."""
PAGE_BYTES = 8192
PAGES = 16


def sqlite(directory: Path, writer: int, count: int) -> Iterator[int]:
    database = sqlite3.connect(directory / "database", timeout=60, isolation_level=None)
    for number in range(count):
        database.execute("INSERT INTO done VALUES (?, ?)", (writer, number))
        yield number
    database.close()


def pages(directory: Path, writer: int, count: int) -> Iterator[int]:
    lock, log, data, shared = (os.open(directory / name, flags) for name, flags in FILES.items())
    with mmap.mmap(shared, 4096) as memory:
        for number in range(count):
            fcntl.lockf(lock, fcntl.LOCK_EX, 8, 64)
            (sequence,) = struct.unpack_from("<Q", memory)
            record = struct.pack("<QII", sequence, writer, number)
            record += struct.pack("<I", zlib.crc32(record))
            os.write(log, record)
            os.fdatasync(log)
            os.pwrite(data, record * (PAGE_BYTES // RECORD.size), sequence % PAGES * PAGE_BYTES)
            struct.pack_into("<Q", memory, 0, sequence + 1)
            fcntl.lockf(lock, fcntl.LOCK_UN, 8, 64)
            yield number
    for fd in (lock, log, data, shared):
        os.close(fd)


FILES = {"lock": os.O_RDWR, "log": os.O_WRONLY | os.O_APPEND, "data": os.O_RDWR, "shared": os.O_RDWR}


def main() -> None:
    kind, directory, writer, count = sys.argv[1:]
    for number in {"sqlite": sqlite, "pages": pages}[kind](Path(directory), int(writer), int(count)):
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
