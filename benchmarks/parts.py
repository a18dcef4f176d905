"""The parts of a run, each a table: what is measured where, and how."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.changes import measure_changes
from benchmarks.containers import measure_containers
from benchmarks.growth import by_size, by_views, large_directory, name_of
from benchmarks.leases import measure_leases
from benchmarks.memory import measure_memory
from benchmarks.operations import OPERATIONS, Operation
from benchmarks.places import Place
from benchmarks.programs import measure_programs
from benchmarks.results import Facts, Row, Section
from benchmarks.rounds import Measure, calibrated, prepared
from benchmarks.targets import BINDFS, NATIVE, SHARED, Target, views_of_one_volume
from benchmarks.together import together
from benchmarks.workloads import fio, many_files

__all__ = ["CHECKED_VIEWS", "PARTS", "VIEWS", "Plan", "measure"]

VIEWS = (2, 50, 200, 500)
CHECKED_VIEWS = (2, 200)

_LONG_ROUNDS = 5
_ALONE = ("operations", "views")
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        targets: where, native first.
        rounds: of short measurements; long ones have five at most.
        slice_s: length of a short measurement.
        only: names of rows contain this.
        files: in the archive.
        containers: that are created.
        views: counts of views of one volume.
        full: also what takes many minutes.
        spread: let client and server of short measurements run on different processors.
        say: called with what is being measured.
    """

    targets: Mapping[str, Target]
    rounds: int
    slice_s: float
    only: str
    files: int
    containers: int
    views: Sequence[int]
    full: bool
    spread: bool
    say: Callable[[str], None]

    @property
    def long_rounds(self) -> int:
        """Rounds of what takes seconds."""
        return min(self.rounds, _LONG_ROUNDS)


Part = Callable[[Plan, Path], Section | Facts]


def measure(part: str, plan: Plan, work: Path) -> Section | Facts:
    """Measure a part in an empty directory."""
    place = work / part
    place.mkdir()
    with _on_one_processor() if part in _ALONE and not plan.spread else nullcontext():
        return PARTS[part](plan, place)


@contextmanager
def _on_one_processor() -> Iterator[None]:
    """Keep this process and the servers that it starts on one processor.

    One waits for the other anyway. Where the system puts them otherwise, on a busy machine, differs from server to
    server for seconds, and changed the ratio of two of them from 0.4 to 2.3.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _operations(plan: Plan, work: Path) -> Section:
    note = "Multiples of the native time; a unit is a call, an entry, a page or a mebibyte, as the name says."
    with ExitStack() as stack:
        places = _served(plan, work, stack, plan.targets)
        rows = _collected(plan, _operation_rows(plan, places))
    return Section("operations", "Operations", note, NATIVE, list(places), rows)


def _operation_rows(plan: Plan, places: Mapping[str, Place]) -> Iterator[Row]:
    for operation in OPERATIONS:
        if plan.only not in operation.name:
            continue
        prepares = {name: partial(_prepare, operation, place, plan.slice_s) for name, place in places.items()}
        yield prepared(operation.name, prepares, plan.rounds)


def _prepare(operation: Operation, place: Place, slice_s: float) -> Measure:
    own = place.directory / operation.name.replace(" ", "-")
    own.mkdir()
    return calibrated(operation.prepare(own), slice_s, operation.step)


def _workloads(plan: Plan, work: Path) -> Section:
    note = (
        f"Multiples of the native time. The archive has {plan.files:,} small files. A walk lists all folders and does "
        "lstat of each file; the first walk is through a mount that has not seen the tree. Writers work in 4 views of "
        "one volume, the users of the database in 2; where there are no views, in the one directory."
    )
    with ExitStack() as stack:
        places = _served(plan, work, stack, plan.targets)
        rows = _collected(plan, many_files(places, work, plan.files, min(plan.rounds, 3)))
        rows += _collected(plan, together(places, plan.long_rounds))
        if shutil.which("fio"):
            rows += _collected(plan, fio(places, plan.long_rounds))
    return Section("workloads", "Workloads", note, NATIVE, list(places), rows)


def _views(plan: Plan, work: Path) -> Section:
    note = (
        "Changes made in one view of a shared volume, as multiples of the time with 2 views. *All views have looked*: "
        "each has listed the folder before, so that the kernel holds the folder for each."
    )
    columns = [name_of(count) for count in plan.views]
    rows = _collected(plan, by_views(work, plan.views, plan.rounds, plan.slice_s))
    return Section("views", "Views of one volume", note, columns[0], columns, rows)


def _sizes(plan: Plan, work: Path) -> Section:
    note = "Multiples of the native time for an entry. The trees are made behind the mount, 1,000 files in a folder."
    sizes = [1_000, 10_000, 100_000, *([_MILLION] if plan.full else [])]
    with ExitStack() as stack:
        chosen = {name: target for name, target in plan.targets.items() if name in (NATIVE, SHARED, BINDFS)}
        places = _served(plan, work, stack, chosen)
        rows = _collected(plan, by_size(places, sizes, plan.long_rounds))
        rows += _collected(plan, large_directory(places, 100_000, plan.long_rounds))
    return Section("sizes", "Large trees and directories", note, NATIVE, list(places), rows, "lines")


def _memory(plan: Plan, work: Path) -> Facts:
    plan.say("memory")
    return measure_memory(work, _MILLION if plan.full else 100_000)


def _containers(plan: Plan, work: Path) -> Facts:
    plan.say("containers")
    return measure_containers(work / "root", plan.containers)


def _programs(plan: Plan, work: Path) -> Facts:
    return measure_programs(work, plan.rounds, at_once=100, runs=1000 if plan.full else 100, say=plan.say)


def _changes(plan: Plan, work: Path) -> Facts:
    return measure_changes(work, plan.rounds, plan.slice_s, _MILLION if plan.full else 100_000, plan.say)


def _leases(plan: Plan, work: Path) -> Facts:
    plan.say("leases")
    with views_of_one_volume(work / "root", "kernel", 2, "lease") as place:
        return measure_leases(place, plan.rounds)


PARTS: dict[str, Part] = {
    "operations": _operations,
    "workloads": _workloads,
    "views": _views,
    "sizes": _sizes,
    "memory": _memory,
    "containers": _containers,
    "programs": _programs,
    "changes": _changes,
    "leases": _leases,
}


def _served(plan: Plan, work: Path, stack: ExitStack, targets: Mapping[str, Target]) -> dict[str, Place]:
    places = {}
    for name, target in targets.items():
        plan.say(f"starting {name}")
        places[name] = stack.enter_context(target(work))
    return places


def _collected(plan: Plan, rows: Iterable[Row]) -> list[Row]:
    found = []
    for row in rows:
        plan.say(row.name)
        found.append(row)
    return found
