"""Text to tokens, by the rules of Go's text/template/parse/lex.go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from volfuse.core.gotemplate.errors import ParseError
from volfuse.core.gotemplate.values import quote

__all__ = ["Kind", "Token", "tokens"]


class Kind(Enum):
    """Kinds of token."""

    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    FIELD = auto()
    VARIABLE = auto()
    IDENTIFIER = auto()
    DOT = auto()
    STRING = auto()
    RAW_STRING = auto()
    CHAR = auto()
    NUMBER = auto()
    DECLARE = auto()
    ASSIGN = auto()
    PIPE = auto()
    COMMA = auto()
    OPEN = auto()
    CLOSE = auto()
    CHARACTER = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the source."""

    kind: Kind
    text: str
    offset: int
    line: int

    def __str__(self) -> str:
        if self.kind is Kind.END:
            return "EOF"
        if self.kind is Kind.IDENTIFIER and self.text in _KEYWORDS:
            return f"<{self.text}>"
        return quote(self.text) if len(self.text) <= 10 else f"{quote(self.text[:10])}..."


_KEYWORDS = frozenset(("block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"))
_SPACE = " \t\r\n"
_TERMINATOR = r"(?=[ \t\r\n.,|:()]|-?\}\}|\Z)"
_INSIDE: list[tuple[Kind, re.Pattern[str]]] = [
    (Kind.SPACE, re.compile(r"[ \t\r\n]+")),
    (Kind.DECLARE, re.compile(r":=")),
    (Kind.ASSIGN, re.compile(r"=")),
    (Kind.PIPE, re.compile(r"\|")),
    (Kind.COMMA, re.compile(r",")),
    (Kind.OPEN, re.compile(r"\(")),
    (Kind.CLOSE, re.compile(r"\)")),
    (Kind.STRING, re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')),
    (Kind.RAW_STRING, re.compile(r"`[^`]*`")),
    (Kind.CHAR, re.compile(r"'(?:[^'\\\n]|\\[^\n])*'")),
    (Kind.VARIABLE, re.compile(r"\$\w*")),
    (
        Kind.NUMBER,
        re.compile(
            r"[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?)"
        ),
    ),
    (Kind.FIELD, re.compile(r"\.[^\W\d]\w*")),
    (Kind.DOT, re.compile(r"\.(?!\w)")),
    (Kind.IDENTIFIER, re.compile(r"[^\W\d]\w*")),
]
_UNFINISHED = {
    '"': "unterminated quoted string",
    "`": "unterminated raw quoted string",
    "'": "unterminated character constant",
}
_TERMINATED = re.compile(_TERMINATOR)


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a template, `END` last.

    Raises:
        ParseError: an action, a string or a comment does not end, or a character has no place in an action.
    """
    offset = 0
    trim = False
    while True:
        start = text.find("{{", offset)
        piece = text[offset:] if start < 0 else text[offset:start]
        shift = len(piece) - len(piece.lstrip(_SPACE)) if trim else 0
        left_trim = start >= 0 and text[start + 2 : start + 3] == "-" and text[start + 3 : start + 4] in tuple(_SPACE)
        shown = piece[shift:].rstrip(_SPACE) if left_trim else piece[shift:]
        if shown:
            yield Token(Kind.TEXT, shown, offset + shift, _line(text, offset))
        if start < 0:
            yield Token(Kind.END, "", len(text), _line(text, len(text)))
            return
        begin = start + (4 if left_trim else 2)
        if text.startswith("/*", begin):
            offset, trim = _comment(text, begin)
        else:
            yield Token(Kind.LEFT, "{{", start, _line(text, start))
            for token in _action(text, begin):
                if token.kind is Kind.RIGHT:
                    offset = token.offset + len(token.text)
                    trim = token.text != "}}"
                yield token


def _comment(text: str, begin: int) -> tuple[int, bool]:
    close = text.find("*/", begin)
    if close < 0:
        raise _error(text, begin, "unclosed comment")
    end = re.compile(r"[ \t\r\n]-\}\}|\}\}").match(text, close + 2)
    if end is None:
        raise _error(text, begin, "comment ends before closing delimiter")
    return end.end(), len(end[0]) > 2


def _action(text: str, offset: int) -> Iterator[Token]:
    depth = 0
    begin = _line(text, offset)
    right = re.compile(r"[ \t\r\n]+-\}\}|\}\}")
    while True:
        if end := right.match(text, offset):
            if depth:
                raise _error(text, offset, "unclosed left paren")
            yield Token(Kind.RIGHT, end[0], offset, _line(text, offset))
            return
        if offset >= len(text):
            started = "" if _line(text, offset) == begin else f" started at :{begin}"
            raise _error(text, offset, f"unclosed action{started}")
        token = _next(text, offset)
        depth += {Kind.OPEN: 1, Kind.CLOSE: -1}.get(token.kind, 0)
        if depth < 0:
            raise _error(text, offset, "unexpected right paren")
        yield token
        offset += len(token.text)


def _next(text: str, offset: int) -> Token:
    for kind, pattern in _INSIDE:
        if (found := pattern.match(text, offset)) is None:
            continue
        end = found.end()
        if kind is Kind.SPACE and text.startswith("-}}", end) and end - offset > 1:
            end -= 1
        if kind in (Kind.FIELD, Kind.VARIABLE, Kind.IDENTIFIER) and not _TERMINATED.match(text, end):
            raise _error(text, offset, f"bad character {_named(text[end])}")
        if kind is Kind.NUMBER and end < len(text) and (text[end].isalnum() or text[end] == "_"):
            raise _error(text, offset, f"bad number syntax: {quote(text[offset : end + 1])}")
        return Token(kind, text[offset:end], offset, _line(text, offset))
    char = text[offset]
    if char in _UNFINISHED:
        raise _error(text, offset, _UNFINISHED[char])
    if char == ":":
        raise _error(text, offset, "expected :=")
    if char == ".":
        raise _error(text, offset, f"bad character {_named(text[offset + 1])}")
    if char.isascii() and char.isprintable():
        return Token(Kind.CHARACTER, char, offset, _line(text, offset))
    raise _error(text, offset, f"unrecognized character in action: {_named(char)}")


def _named(char: str) -> str:
    return f"U+{ord(char):04X}" + (f" '{char}'" if char.isprintable() else "")


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _error(text: str, offset: int, message: str) -> ParseError:
    return ParseError(f"template: :{_line(text, offset)}: {message}")
