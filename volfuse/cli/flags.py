"""Docker's rules for flags.

Docker's command uses Go's pflag, whose rules differ from typer's: `--rm=false`, `-q=true`, several short flags in
one word with a value at the end, and other texts for errors. Here a command line is read by those rules and written
down anew in the one form that both understand: `--name=value` words, `--`, the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from volfuse.cli.failure import UsageFault
from volfuse.errors import InvalidSpec

__all__ = ["Check", "Flag", "canonical", "check_integer"]

Check = Callable[[str], object]

_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of a command.

    Attributes:
        long: `--name`.
        short: `-n` or empty.
        negative: the word that says false for a switch that is not simply absent then; or empty.
        takes_value: False for a switch.
        check: raises InvalidSpec if the value is not good.
    """

    long: str
    short: str = ""
    negative: str = ""
    takes_value: bool = True
    check: Check | None = None

    @property
    def title(self) -> str:
        """The name that errors show."""
        return f"{self.short}, {self.long}" if self.short else self.long


def canonical(flags: Sequence[Flag], args: Sequence[str], *, interspersed: bool = True) -> tuple[list[str], list[str]]:
    """Split a command line into words for flags and arguments.

    Args:
        flags: of the command.
        args: the command line.
        interspersed: flags may follow arguments; otherwise the first argument ends the flags.

    Raises:
        UsageFault: unknown flag, missing or bad value; pflag's texts.
    """
    reader = _Reader({f.long: f for f in flags}, {f.short: f for f in flags if f.short}, list(args))
    return reader.read(interspersed)


def check_integer(value: str) -> None:
    """Refuse what is no integer, with Go's words."""
    digits = value[1:] if value[:1] in ("+", "-") else value
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidSpec(f'strconv.ParseInt: parsing "{value}": invalid syntax')


class _Reader:
    """One pass over a command line."""

    def __init__(self, long: Mapping[str, Flag], short: Mapping[str, Flag], args: list[str]) -> None:
        self._long = long
        self._short = short
        self._rest = args
        self._words: list[str] = []
        self._switches: dict[str, str] = {}

    def read(self, interspersed: bool) -> tuple[list[str], list[str]]:
        arguments: list[str] = []
        while self._rest:
            word = self._rest.pop(0)
            if word == "--":
                break
            if word.startswith("--"):
                self._read_long(word)
            elif word.startswith("-") and word != "-":
                self._read_short(word)
            else:
                arguments.append(word)
                if not interspersed:
                    break
        return [*self._words, *filter(None, self._switches.values())], arguments + self._rest

    def _read_long(self, word: str) -> None:
        name, has_value, value = word.partition("=")
        flag = self._long.get(name)
        if flag is None:
            raise UsageFault(f"unknown flag: {name}")
        if has_value:
            self._store(flag, value)
        elif not flag.takes_value:
            self._store(flag, "true")
        elif self._rest:
            self._store(flag, self._rest.pop(0))
        else:
            raise UsageFault(f"flag needs an argument: {name}")

    def _read_short(self, word: str) -> None:
        for place, letter in enumerate(word[1:], 2):
            flag = self._short.get(f"-{letter}")
            if flag is None:
                raise UsageFault(f"unknown shorthand flag: {letter!r} in {word}")
            behind = word[place:]
            if behind.startswith("="):
                self._store(flag, behind[1:])
                return
            if not flag.takes_value:
                self._store(flag, "true")
                continue
            if not behind and not self._rest:
                raise UsageFault(f"flag needs an argument: {letter!r} in {word}")
            self._store(flag, behind or self._rest.pop(0))
            return

    def _store(self, flag: Flag, value: str) -> None:
        try:
            if flag.takes_value:
                if flag.check is not None:
                    flag.check(value)
                self._words.append(f"{flag.long}={value}")
            else:
                self._switches[flag.long] = flag.long if _boolean(value) else flag.negative
        except InvalidSpec as fault:
            raise UsageFault(f'invalid argument "{value}" for "{flag.title}" flag: {fault}') from fault


def _boolean(value: str) -> bool:
    try:
        return _BOOLEANS[value]
    except KeyError:
        raise InvalidSpec(f'strconv.ParseBool: parsing "{value}": invalid syntax') from None
