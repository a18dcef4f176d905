"""What people do with many files: extract an archive, walk the tree that it makes, ask git what changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.places import Place, extract
from benchmarks.results import Row
from benchmarks.rounds import Failed, Measure, in_turn, prepared
from benchmarks.trees import GIT, git_environment, small_files, walk, with_repository

__all__ = ["fio", "many_files"]

_FIO_S = 1
_WALK_FIRST, _WALK_SECOND = "walk, first time", "walk, second time"


def many_files(places: Mapping[str, Place], work: Path, files: int, rounds: int) -> Iterator[Row]:
    """Measure extraction, walks and `git status` on a tree of so many files."""
    archive = work / "small.tar"
    small_files(archive, files)
    yield in_turn("extract the archive", {n: _extraction(p, archive, files) for n, p in places.items()}, rounds)
    yield from _walks(places, archive, rounds)
    if shutil.which("git"):
        repository = work / "repository.tar"
        with_repository(archive, repository)
        yield prepared("git status", {n: partial(_git_status, repository, p) for n, p in places.items()}, rounds)


def fio(places: Mapping[str, Place], rounds: int) -> Iterator[Row]:
    """Measure random reads and writes of 4k as fio sees them."""
    for kind in ("randread", "randwrite"):
        yield prepared(f"fio {kind} 4k", {n: partial(_fio, kind, p) for n, p in places.items()}, rounds)


def _extraction(place: Place, archive: Path, files: int) -> Measure:
    numbers = count()

    def measure() -> float:
        directory = place.directory / f"extracted-{next(numbers)}"
        begin = time.perf_counter()
        extract(archive, directory)
        return (time.perf_counter() - begin) / files

    return measure


def _walks(places: Mapping[str, Place], archive: Path, rounds: int) -> list[Row]:
    """Walk trees that the mounts have not seen, and each once more."""
    second: dict[str, list[float]] = {name: [] for name in places}

    numbers = count()

    def twice(target: str) -> float:
        tree = places[target].plant(archive, f"planted-{next(numbers)}")
        first = _walk(tree)
        second[target].append(_walk(tree))
        return first

    row = in_turn(_WALK_FIRST, {target: partial(twice, target) for target in places}, rounds)
    return [row, Row(_WALK_SECOND, {target: second[target] for target in row.samples}, row.failures)]


def _walk(tree: Path) -> float:
    begin = time.perf_counter()
    found = walk(tree)
    return (time.perf_counter() - begin) / found


def _git_status(repository: Path, place: Place) -> Measure:
    tree = place.plant(repository, "repository")

    def measure() -> float:
        begin = time.perf_counter()
        done = subprocess.run([*GIT, "status", "--short"], cwd=tree, capture_output=True, env=git_environment())
        took = time.perf_counter() - begin
        if done.returncode or done.stdout:
            first = (done.stderr or done.stdout).decode(errors="replace").partition("\n")[0]
            raise Failed(f"git status: {first.partition(' (')[0]}")
        return took

    measure()  # git looks once into files whose inode numbers it does not know
    return measure


def _fio(kind: str, place: Place) -> Measure:
    directory = place.directory / f"fio-{kind}"
    directory.mkdir()
    command = ["fio", "--name=bench", f"--directory={directory}", f"--rw={kind}", "--bs=4k", "--size=16m"]
    command += ["--ioengine=psync", "--invalidate=0", "--time_based", f"--runtime={_FIO_S}", "--output-format=json"]

    def measure() -> float:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Failed("fio: " + done.stderr.decode(errors="replace").splitlines()[0])
        job = json.loads(done.stdout)["jobs"][0]
        return 1 / float(job["read" if kind == "randread" else "write"]["iops"])

    return measure
