"""Aligned columns, as Go's text/tabwriter makes them: a column is a block of adjacent lines that have the cell."""

from __future__ import annotations

__all__ = ["align"]

MINIMUM_WIDTH = 10
PADDING = 3


def align(text: str, minimum: int = MINIMUM_WIDTH, padding: int = PADDING) -> str:
    """Replace the tabs in a text by spaces.

    Args:
        text: lines whose cells are ended by tabs; what follows the last tab is not part of a column.
        minimum: least width of a column, padding included.
        padding: spaces behind the widest cell.
    """
    rows = [line.split("\t") for line in text.split("\n")]
    widths: list[list[int]] = [[0] * (len(row) - 1) for row in rows]
    for column in range(max((len(row) for row in rows), default=1) - 1):
        start = 0
        while start < len(rows):
            end = start
            while end < len(rows) and len(rows[end]) - 1 > column:
                end += 1
            if end > start:
                width = max(minimum, max(len(rows[i][column]) for i in range(start, end)) + padding)
                for i in range(start, end):
                    widths[i][column] = width
            start = max(end, start + 1)
    lines = (
        "".join(f"{cell:{width}}" for cell, width in zip(row, wide, strict=False)) + row[-1]
        for row, wide in zip(rows, widths, strict=True)
    )
    return "\n".join(lines)
