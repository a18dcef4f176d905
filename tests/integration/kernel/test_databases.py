"""Databases on a volume that two views share: nothing that was acknowledged is lost, nothing is torn."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.integration.kernel.conftest import Sides
from tests.integration.kernel.transactions import FILES, PAGE_BYTES, PAGES, RECORD
from tests.support import ROOT

TRANSACTIONS = 150
KILLED_AFTER = 40
DEADLINE_S = 90


@contextlib.contextmanager
def writers(kind: str, sides: Sides, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start writers, in turn through either view."""
    running = []
    try:
        for number in range(count):
            directory = (sides.one, sides.two)[number % 2]
            command = [sys.executable, "-m", "tests.integration.kernel.transactions", kind, str(directory)]
            command += [str(number), str(TRANSACTIONS)]
            running.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def acknowledged(process: subprocess.Popen[str], *, kill_after: int = -1) -> int:
    """Return how many transactions a writer says to be done until it ends, or is killed in the middle of its work."""
    assert process.stdout is not None
    done = 0
    for _ in process.stdout:
        done += 1
        if done == kill_after:
            process.kill()
    process.wait(DEADLINE_S)
    return done


def test_sqlite_keeps_its_integrity(sides: Sides) -> None:
    with contextlib.closing(sqlite3.connect(sides.one / "database")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE done (writer INTEGER, number INTEGER)")
        database.commit()
    with writers("sqlite", sides, 3) as (first, second, third):
        killed = acknowledged(second, kill_after=KILLED_AFTER)
        assert acknowledged(first) == acknowledged(third) == TRANSACTIONS
    with contextlib.closing(sqlite3.connect(sides.two / "database")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        stored = dict(database.execute("SELECT writer, count(*) FROM done GROUP BY writer"))
    assert stored[0] == stored[2] == TRANSACTIONS
    assert killed <= stored[1] <= killed + 1


def test_a_log_with_shared_memory_and_locks_keeps_its_integrity(sides: Sides) -> None:
    for name in FILES:
        (sides.one / name).touch()
    (sides.one / "shared").write_bytes(bytes(4096))
    (sides.one / "data").write_bytes(bytes(PAGES * PAGE_BYTES))
    with writers("pages", sides, 4) as running:
        assert [acknowledged(process) for process in running] == [TRANSACTIONS] * 4
    log = (sides.two / "log").read_bytes()
    records = [log[at : at + RECORD.size] for at in range(0, len(log), RECORD.size)]
    assert [RECORD.unpack(record)[0] for record in records] == list(range(4 * TRANSACTIONS))
    assert all(RECORD.unpack(record)[3] == zlib.crc32(record[:-4]) for record in records)
    assert pages_of(sides.host) == pages_of(sides.two) == replayed(records)


def pages_of(directory: Path) -> list[bytes]:
    data = (directory / "data").read_bytes()
    return [data[at : at + PAGE_BYTES] for at in range(0, len(data), PAGE_BYTES)]


def replayed(records: list[bytes]) -> list[bytes]:
    """Return the pages as the log says that they were written."""
    pages = [bytes(PAGE_BYTES)] * PAGES
    for sequence, record in enumerate(records):
        pages[sequence % PAGES] = (record * (PAGE_BYTES // RECORD.size)).ljust(PAGE_BYTES, b"\0")
    return pages
