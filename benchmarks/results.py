"""What was measured, as values: samples by target, their ratios, and the tables of one run.

A ratio is the median of the ratios of single rounds: the targets of one round ran one after the other, so what else
the machine did slowed all of them alike. Absolute times are kept for `--json` only.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Facts", "Row", "Section", "quartiles", "ratio", "text_of_ratio"]

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured on several targets.

    Attributes:
        name: what.
        samples: seconds a unit, by target; one for each round.
        failures: why a target has none.
    """

    name: str
    samples: Mapping[str, Sequence[float]]
    failures: Mapping[str, str] = field(default_factory=dict)

    def slowness(self, target: str, baseline: str) -> float | None:
        """How many times the baseline's time a target takes; None if either was not measured."""
        if target not in self.samples or baseline not in self.samples:
            return None
        return ratio(self.samples[target], self.samples[baseline])


@dataclass(frozen=True, slots=True)
class Section:
    """A table of ratios to one of its columns.

    Attributes:
        key: for the names of plots and in JSON.
        title: heading.
        note: what a unit is, and what a reader needs to know.
        baseline: column that the others are multiples of.
        plot: `bars`, `lines` (rows are sizes that grow), or empty.
    """

    key: str
    title: str
    note: str
    baseline: str
    targets: Sequence[str]
    rows: Sequence[Row]
    plot: str = "bars"

    def row(self, name: str) -> Row | None:
        """Return the row of a name."""
        return next((row for row in self.rows if row.name == name), None)

    def table(self) -> list[list[str]]:
        """Return the cells, heading first."""
        others = [target for target in self.targets if target != self.baseline]
        return [["", *others], *([row.name, *(self._cell(row, target) for target in others)] for row in self.rows)]

    def to_json(self) -> Json:
        """Return medians in microseconds and the ratios."""
        rows = [
            {
                "name": row.name,
                "microseconds": {name: statistics.median(values) * 1e6 for name, values in row.samples.items()},
                "ratios": {name: row.slowness(name, self.baseline) for name in row.samples},
                "failures": dict(row.failures),
            }
            for row in self.rows
        ]
        return {"key": self.key, "title": self.title, "baseline": self.baseline, "rows": rows}

    def _cell(self, row: Row, target: str) -> str:
        if target in row.failures:
            return f"fails: {row.failures[target]}"
        slowness = row.slowness(target, self.baseline)
        return "" if slowness is None else text_of_ratio(slowness)


@dataclass(frozen=True, slots=True)
class Facts:
    """A table of what is no ratio: name, value, unit."""

    key: str
    title: str
    note: str
    rows: Sequence[tuple[str, float, str]]

    def value(self, name: str) -> float | None:
        """Return the value of a name."""
        return next((value for row, value, _ in self.rows if row == name), None)

    def table(self) -> list[list[str]]:
        """Return the cells, heading first."""
        return [["", "measured"], *([name, f"{_number(value)} {unit}".strip()] for name, value, unit in self.rows)]

    def to_json(self) -> Json:
        """Return the values."""
        return {
            "key": self.key,
            "title": self.title,
            "rows": [{"name": name, "value": value, "unit": unit} for name, value, unit in self.rows],
        }


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Return the median of the ratios of the rounds that both have."""
    return statistics.median(_ratios(numerator, denominator))


def quartiles(numerator: Sequence[float], denominator: Sequence[float]) -> tuple[float, float]:
    """Return the range that the middle half of the rounds' ratios lies in."""
    ratios = _ratios(numerator, denominator)
    if len(ratios) < 2:
        return ratios[0], ratios[0]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return low, high


def text_of_ratio(value: float) -> str:
    """Format a ratio with as many digits as mean something."""
    return f"{_number(value)}×"


def _ratios(numerator: Sequence[float], denominator: Sequence[float]) -> list[float]:
    return [above / below for above, below in zip(numerator, denominator, strict=False)]


def _number(value: float) -> str:
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
