"""Measuring side by side: each round visits all targets in turn, in an order that moves on from round to round."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.results import Row

__all__ = ["Failed", "Measure", "calibrated", "in_turn", "message_of", "prepared"]

Measure = Callable[[], float]
"""Does something once and returns how many seconds a unit of it took."""


_PAUSE_S = 0.0005  # who has slept begins with a time slice of its own, and is less often interrupted on a busy machine


class Failed(Exception):
    """A workload did not do what it should; the text says what went wrong."""


FAILURES = (OSError, Failed)


@dataclass(slots=True)
class _Target:
    measure: Measure
    samples: list[float] = field(default_factory=list)


def in_turn(name: str, measures: Mapping[str, Measure], rounds: int, failures: Mapping[str, str] | None = None) -> Row:
    """Measure all targets in each round.

    Args:
        name: of the row.
        measures: by target.
        rounds: how many.
        failures: of targets that could not even be prepared.

    Returns:
        Row: a target that failed once has no samples, but its failure.
    """
    failed = dict(failures or {})
    left = {target: _Target(measure) for target, measure in measures.items()}
    for number in range(rounds):
        for target in _rotated(list(left), number):
            try:
                left[target].samples.append(left[target].measure())
            except FAILURES as exc:
                failed[target] = message_of(exc)
                del left[target]
    return Row(name, {target: one.samples for target, one in left.items()}, failed)


def prepared(name: str, prepares: Mapping[str, Callable[[], Measure]], rounds: int) -> Row:
    """Prepare all targets and measure them; what cannot be prepared is a failure of the target."""
    failures: dict[str, str] = {}
    measures: dict[str, Measure] = {}
    for target, prepare in prepares.items():
        try:
            measures[target] = prepare()
        except FAILURES as exc:
            failures[target] = message_of(exc)
    return in_turn(name, measures, rounds, failures)


def calibrated(run: Callable[[int], None], slice_s: float, step: int = 1) -> Measure:
    """Return a measure that calls `run` so often that it takes about `slice_s`; the calls before warm it up.

    Args:
        run: does something as often as it is told.
        slice_s: length of one measurement.
        step: `run` wants multiples of it.
    """
    count = step
    while (took := _timed(run, count)) < slice_s / 4:
        count *= 2
    count = max(round(count * slice_s / took / step), 1) * step

    def measure() -> float:
        time.sleep(_PAUSE_S)
        return _timed(run, count) / count

    return measure


def message_of(failure: BaseException) -> str:
    """Return a failure in few words: of an OSError what the system calls it."""
    return (failure.strerror if isinstance(failure, OSError) else None) or str(failure) or type(failure).__name__


def _timed(run: Callable[[int], None], count: int) -> float:
    begin = time.perf_counter()
    run(count)
    return time.perf_counter() - begin


def _rotated(names: list[str], by: int) -> list[str]:
    by %= max(len(names), 1)
    return names[by:] + names[:by]
