"""What grows with the number of views, files in a tree, and entries of a directory."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.places import Place
from benchmarks.results import Row
from benchmarks.rounds import Measure, calibrated, in_turn
from benchmarks.targets import views_of_one_volume
from benchmarks.trees import grow, walk

__all__ = ["by_size", "by_views", "large_directory", "name_of"]

_SAMPLE = 500
_LARGE = 100_000


def name_of(views: int) -> str:
    """Return the name of the column of so many views."""
    return f"{views} views"


def by_views(work: Path, counts: Sequence[int], rounds: int, slice_s: float) -> Iterator[Row]:
    """Measure changes in one view of a volume that so many views show.

    First the other views have not looked at the folder; then all have, so that the kernel holds it for each of them.
    """
    with ExitStack() as stack:
        places = {
            name_of(views): stack.enter_context(views_of_one_volume(work / f"views-{views}", "kernel", views))
            for views in counts
        }
        yield from _changes(places, "", rounds, slice_s)
        for place in places.values():
            for view in place.views:
                os.listdir(view / "folder")
                os.stat(view / "folder" / "file")
        yield from _changes(places, ", all views have looked", rounds, slice_s)


def by_size(places: Mapping[str, Place], sizes: Sequence[int], rounds: int) -> Iterator[Row]:
    """Measure trees of so many files, made behind the mount: the first walk, one more, and lstat of some files."""
    for size in sizes:
        trees = _planted(places, f"tree-{size}", partial(grow, count=size))
        once = 1 if size >= _LARGE else rounds
        yield in_turn(f"first walk, {size:,} files", {n: _walk(t) for n, t in trees.items()}, 1)
        yield in_turn(f"walk, {size:,} files", {n: _walk(t) for n, t in trees.items()}, once)
        names = [f"folder{number // 1000}/file{number}" for number in _some(size)]
        yield in_turn(f"stat, {size:,} files", {n: _stats(t, names) for n, t in trees.items()}, rounds)


def large_directory(places: Mapping[str, Place], size: int, rounds: int) -> Iterator[Row]:
    """Measure one directory of so many entries."""
    folders = _planted(places, f"large-{size}", partial(grow, count=size, in_one=size))
    folders = {name: folder / "folder0" for name, folder in folders.items()}
    yield in_turn(f"listdir, {size:,} entries", {n: _listing(f, size) for n, f in folders.items()}, rounds)
    names = [f"file{number}" for number in _some(size)]
    yield in_turn(f"lookup among {size:,} entries", {n: _stats(f, names) for n, f in folders.items()}, rounds)


def _changes(places: Mapping[str, Place], suffix: str, rounds: int, slice_s: float) -> Iterator[Row]:
    for name, change in (("create+unlink", _create), ("open+write+close", _open_write), ("write", _write)):
        measures = {target: calibrated(change(_folder(place)), slice_s) for target, place in places.items()}
        yield in_turn(name + suffix, measures, rounds)


def _folder(place: Place) -> Path:
    folder = place.directory / "folder"
    folder.mkdir(exist_ok=True)
    (folder / "file").write_bytes(b"x")
    return folder


def _create(folder: Path) -> Callable[[int], None]:
    path = folder / "new"

    def run(count: int) -> None:
        for _ in range(count):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.unlink(path)

    return run


def _open_write(folder: Path) -> Callable[[int], None]:
    path, block = folder / "file", b"x" * 4096

    def run(count: int) -> None:
        for _ in range(count):
            fd = os.open(path, os.O_WRONLY)
            os.pwrite(fd, block, 0)
            os.close(fd)

    return run


def _write(folder: Path) -> Callable[[int], None]:
    file, block = open(folder / "file", "r+b", buffering=0), b"x" * 4096  # noqa: SIM115

    def run(count: int) -> None:
        for _ in range(count):
            os.pwrite(file.fileno(), block, 0)

    return run


def _planted(places: Mapping[str, Place], name: str, make: Callable[[Path], None]) -> dict[str, Path]:
    found = {}
    for target, place in places.items():
        assert place.source is not None
        make(place.source / name)
        found[target] = place.directory / name
    return found


def _some(size: int) -> list[int]:
    return random.Random(0).sample(range(size), min(_SAMPLE, size))


def _walk(tree: Path) -> Measure:
    def measure() -> float:
        begin = time.perf_counter()
        found = walk(tree)
        return (time.perf_counter() - begin) / found

    return measure


def _stats(directory: Path, names: Sequence[str]) -> Measure:
    paths = [os.path.join(directory, name) for name in names]

    def measure() -> float:
        begin = time.perf_counter()
        for path in paths:
            os.lstat(path)
        return (time.perf_counter() - begin) / len(paths)

    return measure


def _listing(directory: Path, size: int) -> Measure:
    def measure() -> float:
        begin = time.perf_counter()
        assert len(os.listdir(directory)) == size
        return (time.perf_counter() - begin) / size

    return measure
