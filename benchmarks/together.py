"""Several programs in several views of one volume: writers, and users of one database.

Natively, and where a peer knows no views, they share the one directory.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.places import Place
from benchmarks.processes import at_once
from benchmarks.results import Row
from benchmarks.rounds import Failed, Measure, prepared

__all__ = ["together"]

_WRITERS = 4
_BLOCKS, _BLOCK = 4000, b"x" * 4096
_FILES = 250
_TRANSACTIONS = 250


def together(places: Mapping[str, Place], rounds: int) -> Iterator[Row]:
    """Measure each workload on all targets."""
    for name, prepare in _WORKLOADS.items():
        yield prepared(name, {target: partial(prepare, place, name) for target, place in places.items()}, rounds)


def _blocks(place: Place, name: str) -> Measure:
    directories = _directories(place, name)

    def job(number: int) -> None:
        with open(directories[number] / f"writer{number}", "wb", buffering=0) as file:
            for block in range(_BLOCKS):
                os.pwrite(file.fileno(), _BLOCK, block % 256 * 4096)

    return _measure(job, _WRITERS * _BLOCKS)


def _small_files(place: Place, name: str) -> Measure:
    directories, rounds = _directories(place, name), count()

    def job(number: int) -> None:
        for file in range(_FILES):
            path = directories[number] / f"writer{number}-{file}-{current[0]}"
            with open(path, "xb", buffering=0) as new:
                new.write(_BLOCK)

    current = [0]
    measure = _measure(job, _WRITERS * _FILES)

    def one_round() -> float:
        current[0] = next(rounds)
        return measure()

    return one_round


def _database(place: Place, name: str) -> Measure:
    directories, rounds = _directories(place, name), count()

    def one_round() -> float:
        file = f"round{next(rounds)}.db"
        paths = [directory / file for directory in directories[:2]]
        _new_database(paths[0])
        took = at_once([partial(_insert, path) for path in paths])
        _check_database(paths[0], 2 * _TRANSACTIONS)
        return took / (2 * _TRANSACTIONS)

    return one_round


def _directories(place: Place, name: str) -> list[Path]:
    """Make a folder and return it as each writer sees it."""
    (place.directory / name).mkdir()
    return [place.view(number) / name for number in range(_WRITERS)]


def _measure(job: Callable[[int], None], units: int) -> Measure:
    jobs = [partial(job, number) for number in range(_WRITERS)]
    return lambda: at_once(jobs) / units


def _new_database(path: Path) -> None:
    try:
        with sqlite3.connect(path) as database:
            (mode,) = database.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise Failed("no WAL")
            database.execute("CREATE TABLE entries (writer INTEGER, content BLOB)")
        database.close()
    except sqlite3.Error as exc:
        raise Failed(str(exc)) from exc


def _insert(path: Path) -> None:
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    database.execute("PRAGMA synchronous=NORMAL")
    for _ in range(_TRANSACTIONS):
        database.execute("INSERT INTO entries VALUES (?, ?)", (os.getpid(), _BLOCK[:200]))
    database.close()


def _check_database(path: Path, entries: int) -> None:
    try:
        database = sqlite3.connect(path)
        (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
        (found,) = database.execute("SELECT count(*) FROM entries").fetchone()
        database.close()
    except sqlite3.Error as exc:
        raise Failed(str(exc)) from exc
    if verdict != "ok":
        raise Failed(f"integrity_check: {verdict}")
    if found != entries:
        raise Failed(f"{entries - found} of {entries} rows lost")


_WORKLOADS: dict[str, Callable[[Place, str], Measure]] = {
    "4 writers, blocks of 4k": _blocks,
    "4 writers, new files of 4k": _small_files,
    "sqlite with WAL, 2 writers": _database,
}
