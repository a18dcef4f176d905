"""Words of Dockerfile instructions: splitting, quotes, escapes and variables.

Splitting keeps quotes and escapes; expanding removes them and puts in variables, which single quotes prevent.

Source: docs.docker.com/reference/dockerfile ("Environment replacement"), moby/buildkit frontend/dockerfile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from volfuse.errors import InvalidSpec

__all__ = ["expand", "split_words"]

_ESCAPE = "\\"
_ESCAPED_IN_QUOTES = frozenset('"$\\')


def split_words(text: str) -> list[str]:
    """Split at white space outside of quotes; quotes and escapes stay in the words."""
    words: list[str] = []
    word = ""
    quote = ""
    characters = iter(text)
    for character in characters:
        if character.isspace() and not quote:
            if word:
                words.append(word)
            word = ""
            continue
        word += character
        if character == _ESCAPE and quote != "'":
            escaped = next(characters, None)
            word = word[:-1] if escaped is None else word + escaped
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
    if word:
        words.append(word)
    return words


def expand(word: str, variables: Mapping[str, str]) -> str:
    """Remove quotes and escapes and put in variables: `$x`, `${x}`, `${x:-word}`, `${x:+word}`.

    Raises:
        InvalidSpec: a quote or a brace is not closed, or the substitution is of another kind.
    """
    return _Expansion(word, variables).outside()


class _Expansion:
    """A position in a word."""

    def __init__(self, word: str, variables: Mapping[str, str]) -> None:
        self._word = word
        self._variables = variables
        self._at = 0

    def outside(self) -> str:
        done: list[str] = []
        for character in self._characters():
            match character:
                case "'":
                    done.append(self._single())
                case '"':
                    done.append(self._double())
                case "$":
                    done.append(self._variable())
                case "\\":
                    done.append(self._next())
                case _:
                    done.append(character)
        return "".join(done)

    def _single(self) -> str:
        end = self._word.find("'", self._at)
        if end < 0:
            raise InvalidSpec("unexpected end of statement while looking for matching single-quote")
        text, self._at = self._word[self._at : end], end + 1
        return text

    def _double(self) -> str:
        done: list[str] = []
        for character in self._characters():
            match character:
                case '"':
                    return "".join(done)
                case "$":
                    done.append(self._variable())
                case "\\" if self._peek() in _ESCAPED_IN_QUOTES:
                    done.append(self._next())
                case _:
                    done.append(character)
        raise InvalidSpec("unexpected end of statement while looking for matching double-quote")

    def _variable(self) -> str:
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._next()
        name = self._name()
        if not name:
            raise InvalidSpec("syntax error: bad substitution")
        operator = self._next()
        if operator == "}":
            return self._variables.get(name, "")
        if operator == ":":
            operator += self._next()
        return self._substitute(name, operator, self._braced())

    def _substitute(self, name: str, operator: str, word: str) -> str:
        value = self._variables.get(name)
        known = bool(value) if operator.startswith(":") else value is not None
        match operator[-1:]:
            case "-":
                return value or "" if known else expand(word, self._variables)
            case "+":
                return expand(word, self._variables) if known else ""
        raise InvalidSpec(f"unsupported modifier ({operator}) in substitution")

    def _braced(self) -> str:
        start, depth = self._at, 1
        for character in self._characters():
            depth += {"{": 1, "}": -1}.get(character, 0)
            if depth == 0:
                return self._word[start : self._at - 1]
        raise InvalidSpec("syntax error: missing '}'")

    def _name(self) -> str:
        start = self._at
        while self._at < len(self._word) and _in_name(self._word[self._at], first=self._at == start):
            self._at += 1
        return self._word[start : self._at]

    def _characters(self) -> Iterator[str]:
        while self._at < len(self._word):
            yield self._next()

    def _peek(self) -> str:
        return self._word[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        self._at += 1
        return character


def _in_name(character: str, *, first: bool) -> bool:
    return character.isascii() and (character == "_" or (character.isalpha() if first else character.isalnum()))
