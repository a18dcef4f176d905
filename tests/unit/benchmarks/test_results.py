"""Ratios, tables, and the judgement of what must hold."""

from __future__ import annotations

import pytest

from benchmarks import markdown
from benchmarks.growth import name_of
from benchmarks.memory import LEFT_BYTES, LIVE_BYTES, WALKED
from benchmarks.musthold import Bound, evaluate, held
from benchmarks.parts import CHECKED_VIEWS, PARTS
from benchmarks.results import Facts, Row, Section, quartiles, ratio, text_of_ratio
from benchmarks.rounds import Failed, calibrated, in_turn


def _section(key: str = "operations", **samples: list[float]) -> Section:
    return Section(key, "Title", "note", "native", list(samples), [Row("stat", samples)])


def test_a_ratio_is_the_median_of_the_ratios_of_rounds() -> None:
    # the machine was ten times as slow in the second round; the ratio of medians would be 1.5
    assert ratio([2.0, 20.0, 3.0], [1.0, 10.0, 2.0]) == 2.0


def test_quartiles_hold_the_middle_half() -> None:
    assert quartiles([1, 2, 3, 4, 5], [1, 1, 1, 1, 1]) == (2, 4)
    assert quartiles([3], [2]) == (1.5, 1.5)


@pytest.mark.parametrize(("value", "text"), [(0.914, "0.91×"), (9.999, "10.00×"), (43.21, "43.2×"), (1234.5, "1,234×")])
def test_ratios_have_as_many_digits_as_mean_something(value: float, text: str) -> None:
    assert text_of_ratio(value) == text


def test_a_table_has_multiples_of_the_baseline_and_failures() -> None:
    row = Row("mmap", {"native": [1.0], "shared": [2.0]}, {"fusepy": "No such device"})
    section = Section("operations", "Title", "", "native", ["native", "shared", "fusepy", "other"], [row])
    assert section.table() == [["", "shared", "fusepy", "other"], ["mmap", "2.00×", "fails: No such device", ""]]


def test_markdown_of_a_section_with_its_plot() -> None:
    text = markdown.document([_section(native=[1.0], shared=[2.0])], ["benchmark-operations.svg"])
    assert text == (
        "## Title\n\nnote\n\n|  | shared |\n| --- | ---: |\n| stat | 2.00× |\n\n![Title](benchmark-operations.svg)\n"
    )


def test_only_what_is_between_the_marks_is_replaced() -> None:
    text = f"before\n{markdown.BEGIN}\nold\n{markdown.END}\nafter\n"
    once = markdown.between_marks(text, "new\n")
    assert once == f"before\n{markdown.BEGIN}\n\nnew\n\n{markdown.END}\nafter\n"
    assert markdown.between_marks(once, "new") == once
    with pytest.raises(ValueError, match="no lines"):
        markdown.between_marks("no marks", "new")


@pytest.mark.parametrize(("native", "ok"), [([0.95, 0.95], True), ([0.85, 0.85], False)])
def test_speed_is_held_to_its_bound(native: list[float], ok: bool) -> None:
    bounds = [Bound("operations", "stat", "shared", "native", 0.9)]
    (verdict,) = evaluate([_section(native=native, shared=[1.0, 1.0])], bounds)
    assert verdict.ok is ok
    assert verdict.value == f"{native[0]:.2f}×"


@pytest.mark.parametrize(("cost", "ok"), [(1.2, True), (1.4, False)])
def test_cost_of_views_is_held_to_its_bound(cost: float, ok: bool) -> None:
    bounds = [Bound("views", "stat", "many", "few", 1 / 1.3)]
    (verdict,) = evaluate([_section("views", few=[1.0], many=[cost])], bounds)
    assert (verdict.bound, verdict.value, verdict.ok) == ("below 1.30×", f"{cost:.2f}×", ok)


def test_what_was_not_measured_does_not_hold() -> None:
    verdicts = evaluate([], [Bound("operations", "stat", "shared", "native", 0.9)])
    assert [verdict.value for verdict in verdicts] == [None]
    assert not held(verdicts)


@pytest.mark.parametrize(
    ("found", "live", "left", "expected"),
    [(1001, 400, 10, [True] * 3), (1000, 600, 200, [False] * 3)],
)
def test_memory_is_held_to_its_bounds(found: float, live: float, left: float, expected: list[bool]) -> None:
    rows = [(WALKED, found, "of 1001"), (LIVE_BYTES, live, "bytes"), (LEFT_BYTES, left, "bytes")]
    assert [verdict.ok for verdict in evaluate([Facts("memory", "", "", rows)], [])] == expected


def test_bounds_name_what_is_measured() -> None:
    from benchmarks.musthold import BOUNDS
    from benchmarks.operations import OPERATIONS
    from benchmarks.targets import available

    operations = {operation.name for operation in OPERATIONS}
    columns = {*available(), "bindfs, timeouts 0", *(name_of(count) for count in CHECKED_VIEWS)}
    assert {bound.section for bound in BOUNDS} <= set(PARTS)
    assert {bound.row for bound in BOUNDS if bound.section == "operations"} <= operations
    assert {name for bound in BOUNDS for name in (bound.column, bound.against)} <= columns


def test_rounds_visit_all_targets_and_drop_one_that_fails() -> None:
    visited = []

    def measure(name: str) -> float:
        visited.append(name)
        if name == "b" and visited.count("b") == 2:
            raise Failed("broke")
        return 1.0

    row = in_turn("row", {name: lambda name=name: measure(name) for name in "ab"}, 3)
    assert visited == ["a", "b", "b", "a", "a"]
    assert (dict(row.samples), dict(row.failures)) == ({"a": [1.0] * 3}, {"b": "broke"})


def test_a_measure_does_multiples_of_the_step() -> None:
    counts: list[int] = []

    def run(count: int) -> None:
        counts.append(count)
        sum(range(count * 500))  # work that grows with the count

    calibrated(run, 0.002, step=16)()
    assert all(count % 16 == 0 for count in counts)
