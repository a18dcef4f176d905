"""Plots as SVG text: groups of horizontal bars, and lines over a growing size; both on logarithmic scales."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

__all__ = ["bars", "lines"]

_COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f")
_WIDTH, _LEFT, _RIGHT, _TOP = 860, 230, 40, 34
_BAR, _GAP, _LEGEND = 7, 10, 18

Values = Mapping[str, float | None]


def bars(title: str, groups: Mapping[str, Values], unit: str = "× native") -> str:
    """Draw a group of bars for each row, a bar for each series.

    Args:
        title: heading.
        groups: values of the series by row; None or nothing where there is none.
        unit: what the axis says.
    """
    series = _series(groups.values())
    rows = {name: {s: v for s, v in values.items() if v} for name, values in groups.items()}
    scale = _Scale([v for values in rows.values() for v in values.values()], _LEFT, _WIDTH - _RIGHT)
    top = _TOP + _LEGEND * math.ceil(len(series) / 3)
    height = top + sum(len(series) * _BAR + _GAP for _ in rows) + 40
    body = [*_legend(series), *_grid_vertical(scale, top, height - 30, unit)]
    y = top
    for name, values in rows.items():
        body.append(_text(_LEFT - 8, y + len(series) * _BAR / 2 + 4, name, anchor="end"))
        for number, one in enumerate(series):
            if one in values:
                body.append(_bar(scale, y + number * _BAR, values[one], _color(number)))
        y += len(series) * _BAR + _GAP
    return _document(title, height, body)


def lines(title: str, curves: Mapping[str, Mapping[float, float]], across: str, unit: str) -> str:
    """Draw a line for each series.

    Args:
        title: heading.
        curves: series by name; each maps a size to a value.
        across: what the sizes are.
        unit: what the values are.
    """
    names = list(curves)
    top, bottom = _TOP + _LEGEND * math.ceil(len(names) / 3) + 10, 380
    horizontal = _Scale([x for curve in curves.values() for x in curve], 80, _WIDTH - _RIGHT)
    vertical = _Scale([y for curve in curves.values() for y in curve.values()], bottom, top)
    body = [*_legend(names), *_grid_vertical(horizontal, top, bottom, across), *_grid_horizontal(vertical, unit, top)]
    for number, curve in enumerate(curves.values()):
        points = [(horizontal(x), vertical(y)) for x, y in sorted(curve.items())]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{_color(number)}" stroke-width="2"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_color(number)}"/>' for x, y in points]
    return _document(title, bottom + 40, body)


class _Scale:
    """Maps values to positions, logarithmically, from the decade (or half of it) below the least on."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        positive = [value for value in values if value > 0] or [1.0]
        self.low = _step_down(min(positive))
        self.high = max(max(positive), self.low * 10)
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        part = math.log(value / self.low) / math.log(self.high / self.low)
        return self._start + part * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Return 1, 2 and 5 of each decade, or its beginnings only where there are many."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if len(decades) <= 4 else (1,)
        found = [step * 10.0**decade for decade in decades for step in steps]
        return [tick for tick in found if self.low <= tick * 1.001 and tick <= self.high * 1.001]


def _step_down(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value))
    return max(step * decade for step in (1, 2, 5) if step * decade <= value * 1.0001)


def _series(groups: object) -> list[str]:
    return list(dict.fromkeys(name for values in groups for name in values))  # type: ignore[attr-defined]


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _bar(scale: _Scale, y: float, value: float, color: str) -> str:
    width = max(scale(value) - _LEFT, 1)
    return f'<rect x="{_LEFT}" y="{y:.1f}" width="{width:.1f}" height="{_BAR - 1}" fill="{color}"/>'


def _legend(names: Sequence[str]) -> list[str]:
    parts = []
    for number, name in enumerate(names):
        x, y = 20 + number % 3 * 280, _TOP + number // 3 * _LEGEND
        parts.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{_color(number)}"/>')
        parts.append(_text(x + 16, y, name))
    return parts


def _grid_vertical(scale: _Scale, top: float, bottom: float, caption: str) -> list[str]:
    parts = []
    for tick in scale.ticks():
        x = scale(tick)
        parts.append(f'<line x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(_text(x, bottom + 14, _tick(tick), anchor="middle"))
    return [*parts, _text(_WIDTH - 6, bottom + 28, caption, anchor="end")]


def _grid_horizontal(scale: _Scale, caption: str, top: float) -> list[str]:
    parts = [_text(8, top - 8, caption)]
    for tick in scale.ticks():
        y = scale(tick)
        parts.append(f'<line x1="80" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(_text(74, y + 4, _tick(tick), anchor="end"))
    return parts


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _document(title: str, height: float, body: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {_WIDTH} {height:.0f}" font-family="sans-serif" font-size="11" fill="#222">'
    )
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    heading = f'<text x="20" y="16" font-size="13" font-weight="bold">{escape(title)}</text>'
    return "\n".join([head, paper, heading, *body, "</svg>"]) + "\n"
