"""Which plot a section has."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.results import Facts, Section
from benchmarks.svg import bars, lines

__all__ = ["write_plots"]


def write_plots(directory: Path, sections: list[Section | Facts]) -> list[str]:
    """Write the plots of all sections as `benchmark-KEY.svg` and return their names."""
    directory.mkdir(parents=True, exist_ok=True)
    names = []
    for section in sections:
        if isinstance(section, Section) and section.rows and section.plot:
            name = f"benchmark-{section.key}.svg"
            (directory / name).write_text(_plot(section))
            names.append(name)
    return names


def _plot(section: Section) -> str:
    if section.plot == "lines":
        return lines(section.title, _curves(section), "files in the tree", f"× {section.baseline}, an entry")
    others = [target for target in section.targets if target != section.baseline]
    groups = {row.name: {target: row.slowness(target, section.baseline) for target in others} for row in section.rows}
    return bars(section.title, groups, f"× {section.baseline}: shorter is faster")


def _curves(section: Section) -> dict[str, dict[float, float]]:
    """Take the curves from rows called `walk, 1,000 files`; a curve for each target and kind of row."""
    curves: dict[str, dict[float, float]] = {}
    for row in section.rows:
        if not (match := re.fullmatch(r"(walk|stat), ([\d,]+) files", row.name)):
            continue
        for target in section.targets:
            if target != section.baseline and (value := row.slowness(target, section.baseline)):
                curves.setdefault(f"{match[1]}: {target}", {})[float(match[2].replace(",", ""))] = value
    return curves
