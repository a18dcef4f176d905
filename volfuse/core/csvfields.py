"""One record of comma-separated values with quotes, as `--mount` takes it.

Python's `csv` forgives what Go's `encoding/csv` refuses, and its messages differ; this follows Go.
"""

from __future__ import annotations

from volfuse.errors import InvalidSpec

__all__ = ["split_csv"]

_BARE_QUOTE = 'bare " in non-quoted-field'
_STRAY_QUOTE = 'extraneous or missing " in quoted-field'


def split_csv(text: str) -> list[str]:
    """Return the fields of the first line; a field in quotes may hold commas, line ends and doubled quotes.

    Raises:
        InvalidSpec: a quote where none may be, or no record at all.
    """
    if not text.strip("\r\n"):
        raise InvalidSpec("EOF")
    fields: list[str] = []
    at = 0
    while True:
        field, at = _quoted(text, at + 1) if text.startswith('"', at) else _bare(text, at)
        fields.append(field)
        if not text.startswith(",", at):
            return fields
        at += 1


def _bare(text: str, start: int) -> tuple[str, int]:
    ends = (text.find(mark, start) for mark in (",", "\n"))
    end = min((at for at in ends if at >= 0), default=len(text))
    field = text[start:end].removesuffix("\r") if text.startswith("\n", end) else text[start:end]
    if '"' in field:
        raise _error(start + field.index('"'), _BARE_QUOTE)
    return field, end


def _quoted(text: str, start: int) -> tuple[str, int]:
    pieces: list[str] = []
    while (end := text.find('"', start)) >= 0:
        pieces.append(text[start:end])
        if not text.startswith('"', end + 1):
            if text[end + 1 : end + 2] not in ("", ",", "\r", "\n"):
                raise _error(end, _STRAY_QUOTE)
            return "".join(pieces), end + 1
        pieces.append('"')
        start = end + 2
    raise _error(len(text), _STRAY_QUOTE)


def _error(at: int, problem: str) -> InvalidSpec:
    return InvalidSpec(f"parse error on line 1, column {at + 1}: {problem}")
