"""Leases: how late a view knows what the host has changed in a directory of which it keeps names and attributes."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.places import Place
from benchmarks.results import Facts

__all__ = ["HOST_LATE", "HOST_MEDIAN", "HOST_UNSEEN", "measure_leases"]

HOST_MEDIAN = "the host's change in a view, median"
HOST_LATE = "the host's change in a view, 99th percentile"
HOST_UNSEEN = "changes of the host not seen"
_DEADLINE_S = 5.0

Seen = Callable[[], bool]


def measure_leases(place: Place, rounds: int) -> Facts:
    """Change names and attributes on the host, `rounds` times each, and look from a view until they are there."""
    assert place.source is not None
    lateness, unseen = [], 0
    for seen in _changes(place.source, place.views[0], rounds):
        begin = time.perf_counter()
        while not (found := seen()) and time.perf_counter() - begin < _DEADLINE_S:
            pass
        lateness.append((time.perf_counter() - begin) * 1000)
        unseen += not found
    rows = [
        (HOST_MEDIAN, statistics.median(lateness), "ms"),
        (HOST_LATE, statistics.quantiles(lateness, n=100)[98], "ms"),
        (HOST_UNSEEN, float(unseen), f"of {len(lateness)}"),
    ]
    note = "Lateness is from after the change on the host to when a program that looks all the time sees it in a view."
    return Facts("leases", "Leases", note, rows)


def _changes(source: Path, view: Path, rounds: int) -> Iterator[Seen]:
    """Make the view keep something, change it on the host, and yield whether the view knows."""
    (source / "kept").mkdir()
    file, shown = source / "kept/file", view / "kept/file"
    for number in range(1, rounds + 1):
        file.write_bytes(b"x" * number)
        size = number
        yield lambda size=size: _size(shown) == size  # type: ignore[misc]
        os.listdir(shown.parent)
        file.chmod(0o600 + number % 2)
        mode = 0o600 + number % 2
        yield lambda mode=mode: os.stat(shown).st_mode & 0o777 == mode  # type: ignore[misc]
        os.rename(file, file.with_name("moved"))
        yield lambda: not shown.exists()
        os.rename(file.with_name("moved"), file)
        yield lambda: shown.exists()


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return -1
