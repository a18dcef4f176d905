"""Plots are well-formed, and have what they should in the right order."""

from __future__ import annotations

from xml.etree import ElementTree

from benchmarks.plots import write_plots
from benchmarks.results import Row, Section
from benchmarks.svg import bars, lines

_SVG = "{http://www.w3.org/2000/svg}"


def _attributes(text: str, tag: str, name: str) -> list[str]:
    return [element.get(name, "") for element in ElementTree.fromstring(text).iter(_SVG + tag)]


def _texts(text: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(text).iter(_SVG + "text")]


def test_bars_grow_with_their_values() -> None:
    text = bars("T <&>", {"row": {"a": 1.0, "b": 10.0, "c": None}, "empty": {"a": None}})
    widths = [
        float(w)
        for w, h in zip(_attributes(text, "rect", "width")[1:], _attributes(text, "rect", "height")[1:], strict=False)
        if h == "6"
    ]
    assert len(widths) == 2
    assert widths[0] < widths[1]
    assert {"T <&>", "row", "empty", "a", "b", "c"} <= set(_texts(text))


def test_lines_have_their_points_in_order() -> None:
    text = lines("T", {"a": {1000: 2.0, 10: 1.0}}, "files", "times")
    (points,) = _attributes(text, "polyline", "points")
    first, second = (tuple(map(float, point.split(","))) for point in points.split())
    assert first[0] < second[0]
    assert first[1] > second[1]


def test_plots_without_values_are_drawn() -> None:
    ElementTree.fromstring(bars("T", {}))
    ElementTree.fromstring(lines("T", {}, "files", "times"))


def test_a_section_of_sizes_becomes_curves(tmp_path) -> None:
    rows = [Row(f"walk, {size} files", {"native": [1.0], "shared": [2.0]}) for size in ("1,000", "10,000")]
    rows.append(Row("listdir, 100,000 entries", {"native": [1.0], "shared": [2.0]}))
    section = Section("sizes", "Sizes", "", "native", ["native", "shared"], rows, "lines")
    assert write_plots(tmp_path, [section]) == ["benchmark-sizes.svg"]
    text = (tmp_path / "benchmark-sizes.svg").read_text()
    assert len(_attributes(text, "polyline", "points")) == 1
    assert "walk: shared" in _texts(text)
