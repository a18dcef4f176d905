"""Markdown of tables, and its place in a document."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.results import Facts, Section

__all__ = ["BEGIN", "END", "between_marks", "document", "table"]

BEGIN = "<!-- measured: written by scripts/bench --update -->"
END = "<!-- end of what was measured -->"


def document(sections: Sequence[Section | Facts], plots: Sequence[str] = ()) -> str:
    """Return the sections as markdown, each with its plot if there is one (`benchmark-KEY.svg`)."""
    parts = []
    for section in sections:
        parts += [f"## {section.title}", section.note, table(section.table())]
        if (plot := f"benchmark-{section.key}.svg") in plots:
            parts.append(f"![{section.title}]({plot})")
    return "\n\n".join(part for part in parts if part) + "\n"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first row is its heading, numbers are to the right."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "| --- |" + " ---: |" * (len(rows[0]) - 1))
    return "\n".join(lines)


def between_marks(text: str, new: str) -> str:
    """Replace what stands between the marks of a document.

    Raises:
        ValueError: the document has no marks.
    """
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"the document has no lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{new.strip()}\n\n{END}{after}"
