"""What must hold: bounds of ratios, evaluated on what one run measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks import changes, leases
from benchmarks.growth import name_of
from benchmarks.memory import LEFT_BYTES, LIVE_BYTES, WALKED
from benchmarks.programs import BEYOND_MS, GROWTH_MIB, LEFT, RUNNING, WHOLE
from benchmarks.results import Facts, Row, Section, quartiles, ratio, text_of_ratio
from benchmarks.targets import BINDFS, BINDFS_DEFAULT, FUSEPY, LEASED, NATIVE, PRIVATE, SHARED

__all__ = ["Bound", "Verdict", "evaluate", "held", "report"]

DATA = ("pread 4k", "pwrite 4k", "random read 4k", "random write 4k", "read stream, per MiB", "write stream, per MiB")
NAMES = (
    "stat",
    "open+close",
    "create+unlink",
    "mkdir+rmdir",
    "rename",
    "listdir, 100 entries",
    "scandir+stat, per entry",
)
CHANGES = tuple(
    f"{change}{when}"
    for change in ("create+unlink", "open+write+close", "write")
    for when in ("", ", all views have looked")
)
FEW, MANY = name_of(2), name_of(200)
LIVE_LIMIT, LEFT_LIMIT = 500.0, 50.0
BEYOND_LIMIT, GROWTH_LIMIT = 60.0, 16.0

_CHANGE_LIMITS = (
    (changes.FOLLOWED + changes.PACED, 1.15, "×"),
    (changes.UNFOLLOWED, 1.03, "×"),
    (changes.FEED + changes.MEDIAN, 2.0, "ms"),
    (changes.FEED + changes.LATE, 10.0, "ms"),
    (changes.EVENT + changes.LATE, 20.0, "ms"),
    (changes.HOST + changes.MEDIAN, 50.0, "ms"),
)


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit of a ratio of two columns of a row.

    Attributes:
        section: key of the section.
        row: name of its row.
        column: what is judged.
        against: what it is compared with.
        at_least: how many times as fast it has to be.
    """

    section: str
    row: str
    column: str
    against: str
    at_least: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bound with what was measured; `value` is None where nothing was."""

    what: str
    bound: str
    value: str | None
    spread: str
    ok: bool


BOUNDS = (
    *(Bound("operations", row, SHARED, NATIVE, 0.9) for row in DATA),
    Bound("operations", "stat", PRIVATE, NATIVE, 0.7),
    *(Bound("operations", row, SHARED, BINDFS, 1.0) for row in NAMES),
    *(Bound("operations", row, SHARED, FUSEPY, 1.5) for row in NAMES),
    *(Bound("operations", row, LEASED, NATIVE, 0.7) for row in ("stat", "access", "scandir+stat, per entry")),
    *(Bound("operations", row, LEASED, BINDFS_DEFAULT, 0.8) for row in ("create+unlink", "rename", "open+close")),
    *(Bound("workloads", row, LEASED, NATIVE, 0.7) for row in ("walk, second time", "git status")),
    *(Bound("views", row, MANY, FEW, 1 / 1.3) for row in CHANGES),
)


def evaluate(sections: Iterable[Section | Facts], bounds: Sequence[Bound] = BOUNDS) -> list[Verdict]:
    """Judge what was measured."""
    by_key = {section.key: section for section in sections}
    verdicts = [_judge(bound, _row(by_key.get(bound.section), bound.row)) for bound in bounds]
    memory, programs, told, leased = (by_key.get(key) for key in ("memory", "programs", "changes", "leases"))
    if isinstance(memory, Facts):
        verdicts += _judge_memory(memory)
    if isinstance(programs, Facts):
        verdicts += _judge_programs(programs)
    if isinstance(told, Facts):
        verdicts += _judge_changes(told)
    if isinstance(leased, Facts):
        verdicts += [
            _below(leases.HOST_MEDIAN, leased.value(leases.HOST_MEDIAN), 5.0, "ms"),
            _below(leases.HOST_LATE, leased.value(leases.HOST_LATE), 50.0, "ms"),
            Verdict(
                leases.HOST_UNSEEN,
                "0",
                str(leased.value(leases.HOST_UNSEEN)),
                "",
                leased.value(leases.HOST_UNSEEN) == 0,
            ),
        ]
    return verdicts


def held(verdicts: Iterable[Verdict]) -> bool:
    """Whether all bounds hold; what was not measured does not."""
    return all(verdict.ok for verdict in verdicts)


def report(verdicts: Iterable[Verdict]) -> list[list[str]]:
    """Return the cells of a table, heading first."""
    heading = ["what", "must be", "measured", "middle half of the rounds", ""]
    return [
        heading,
        *([v.what, v.bound, v.value or "not measured", v.spread, "ok" if v.ok else "NOT"] for v in verdicts),
    ]


def _row(section: Section | Facts | None, name: str) -> Row | None:
    return section.row(name) if isinstance(section, Section) else None


def _judge(bound: Bound, row: Row | None) -> Verdict:
    """Compare as the bound is written: speed, or cost where that may grow."""
    cost = bound.section == "views"
    what = f"{bound.row}: {bound.column} against {bound.against}"
    text = f"below {text_of_ratio(1 / bound.at_least)}" if cost else f"at least {text_of_ratio(bound.at_least)}"
    if row is None or not row.samples.get(bound.column) or not row.samples.get(bound.against):
        return Verdict(what, text, None, "", False)
    pair = row.samples[bound.against], row.samples[bound.column]
    speed = ratio(*pair)
    shown = pair[::-1] if cost else pair
    low, high = quartiles(*shown)
    spread = f"{text_of_ratio(low)} to {text_of_ratio(high)}"
    return Verdict(what, text, text_of_ratio(ratio(*shown)), spread, speed >= bound.at_least)


def _judge_memory(facts: Facts) -> list[Verdict]:
    live, left = (facts.value(name) for name in (LIVE_BYTES, LEFT_BYTES))
    return [
        _all_of(WALKED, facts),
        _below(LIVE_BYTES, live, LIVE_LIMIT),
        _below(LEFT_BYTES, left, LEFT_LIMIT),
    ]


def _judge_programs(facts: Facts) -> list[Verdict]:
    left = [(name, value) for name, value, _ in facts.rows if name.startswith(LEFT)]
    return [
        _below(BEYOND_MS, facts.value(BEYOND_MS), BEYOND_LIMIT, "ms"),
        _all_of(RUNNING, facts),
        *(Verdict(name, "0", f"{value:.0f}", "", value <= 0) for name, value in left),
        _all_of(WHOLE, facts),
        _below(GROWTH_MIB, facts.value(GROWTH_MIB), GROWTH_LIMIT, "MiB"),
    ]


def _judge_changes(facts: Facts) -> list[Verdict]:
    none = [(name, value) for name, value, _ in facts.rows if name.endswith(changes.UNHEARD) or name == changes.WRONG]
    return [
        *(_below(name, facts.value(name), limit, unit) for name, limit, unit in _CHANGE_LIMITS),
        *(Verdict(name, "0", f"{value:.0f}", "", value == 0) for name, value in none),
    ]


def _all_of(what: str, facts: Facts) -> Verdict:
    """Judge a count whose unit says how many there should be."""
    found = facts.value(what)
    wanted = next(int(unit.removeprefix("of ")) for name, _, unit in facts.rows if name == what)
    return Verdict(what, f"{wanted:,}", None if found is None else f"{found:,.0f}", "", found == wanted)


def _below(what: str, value: float | None, limit: float, unit: str = "bytes") -> Verdict:
    shown = None if value is None else f"{value:.{2 if limit < 10 else 0}f} {unit}"
    return Verdict(what, f"below {limit:g} {unit}", shown, "", value is not None and value < limit)
