"""Typer's commands with Docker's manners: its flags, its usage texts, its help.

A verb's function is an ordinary typer command whose `cls` comes from `verb()`. Groups import the module of a verb
only when the verb is used, so that a command starts quickly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command_from_info

from volfuse.cli.failure import UsageFault
from volfuse.cli.filtering import check_filter
from volfuse.cli.flags import Check, Flag, canonical, check_integer
from volfuse.cli.jsontypes import Json

__all__ = ["Entry", "Group", "Verb", "verb"]

_CHECKS: dict[str, Check] = {"int": check_integer, "filter": check_filter}
_HELP_GAP = 3

Context = Json
"""typer keeps the base class of its contexts to itself."""


class _Mannered(TyperCommand):
    """Flags by pflag's rules; faults with usage and a hint."""

    usage: ClassVar[str] = ""
    interspersed: ClassVar[bool] = True
    checks: ClassVar[Mapping[str, Check]] = {}

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        try:
            words, arguments = canonical(_flags(self, ctx, self.checks), args, interspersed=self.interspersed)
            if "--help" not in words:
                self.check_count(ctx, len(arguments))
        except UsageFault as fault:
            raise _explained(fault, ctx, self.usage_line(ctx)) from None
        return super().parse_args(ctx, [*words, "--", *arguments])

    def invoke(self, ctx: Context) -> Json:
        try:
            return super().invoke(ctx)
        except UsageFault as fault:
            raise _explained(fault, ctx, self.usage_line(ctx)) from None

    def check_count(self, ctx: Context, count: int) -> None:
        """Refuse a wrong number of arguments."""

    def usage_line(self, ctx: Context) -> str:
        """Return the line that says how the command is used."""
        options = " [OPTIONS]" if len(self.get_params(ctx)) > 1 and _flags(self, ctx, {})[1:] else ""
        return f"Usage:  {ctx.command_path}{options}{' ' if self.usage else ''}{self.usage}"

    def get_help(self, ctx: Context) -> str:
        options = _option_lines(self, ctx)
        return "\n".join([self.usage_line(ctx), "", self.help or "", *(["", "Options:", *options] if options else [])])


class Verb(_Mannered):
    """A command that does something."""

    low: ClassVar[int] = 0
    high: ClassVar[int | None] = 0

    def check_count(self, ctx: Context, count: int) -> None:
        if count < self.low or (self.high is not None and count > self.high):
            open_ended = self.high is None or self.low == 0 != self.high
            raise UsageFault(
                f"volfuse: '{ctx.command_path}' {_wanted(self.low, self.high)}",
                1,
                see="See" if open_ended and self.high is None else "Run",
            )


def verb(
    usage: str = "",
    low: int = 0,
    high: int | None = 0,
    *,
    interspersed: bool = True,
    checks: Mapping[str, Check] | None = None,
) -> type[Verb]:
    """Return the class of a typer command.

    Args:
        usage: the arguments, as the usage line shows them.
        low: fewest arguments.
        high: most arguments; None for any number.
        interspersed: whether flags may follow arguments.
        checks: by `--flag`, what refuses a bad value.
    """
    members = {"usage": usage, "low": low, "high": high, "interspersed": interspersed, "checks": checks or {}}
    return type("Verb", (Verb,), members)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a verb is: `module` below `volfuse.cli`, the name it is registered by there; `hidden` for an alias."""

    module: str
    name: str
    hidden: bool = False


class Group(TyperGroup):
    """Commands below a word, imported when needed."""

    entries: ClassVar[Mapping[str, Entry | type[Group]]] = {}
    allow_interspersed_args = False

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        try:
            words, rest = canonical(_flags(self, ctx, {}), args, interspersed=False)
        except UsageFault as fault:
            raise _explained(fault, ctx, self.usage_line(ctx)) from None
        return super().parse_args(ctx, [*words, "--", *rest])

    def invoke(self, ctx: Context) -> Json:
        if not ctx._protected_args and not ctx.args and not ctx.params.get("version"):
            typer.echo(self.get_help(ctx))
            return 0
        return super().invoke(ctx)

    def list_commands(self, _ctx: Context) -> list[str]:
        return sorted(name for name, entry in self.entries.items() if not (isinstance(entry, Entry) and entry.hidden))

    def get_command(self, ctx: Context, cmd_name: str) -> Json:
        entry = self.entries.get(cmd_name)
        if entry is None:
            raise UsageFault(
                f"volfuse: unknown command: {ctx.command_path} {cmd_name}\n\n"
                + ("" if ctx.parent is None else f"{self.usage_line(ctx)}\n\n")
                + f"Run '{ctx.command_path} --help' for more information",
                1,
                explained=True,
            )
        if isinstance(entry, Entry):
            return _load(entry)
        return entry(name=cmd_name, help=entry.__doc__, rich_markup_mode=None)

    def usage_line(self, ctx: Context) -> str:
        """Return the line that says how the group is used."""
        return f"Usage:  {ctx.command_path}{' [OPTIONS]' if ctx.parent is None else ''} COMMAND"

    def get_help(self, ctx: Context) -> str:
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        groups = {n: c for n, c in commands.items() if isinstance(c, Group)}
        verbs = {n: c for n, c in commands.items() if n not in groups}
        width = max(map(len, commands))
        parts = [self.usage_line(ctx), "", self.help or ""]
        for title, members in (("Management Commands:", groups), ("Commands:", verbs)):
            if members:
                parts += ["", title, *(f"  {name:{width}}  {_first_line(c.help)}" for name, c in members.items())]
        options = _option_lines(self, ctx)
        if options:
            parts += ["", "Options:", *options]
        return "\n".join([*parts, "", f"Run '{ctx.command_path} COMMAND --help' for more information on a command."])


def _load(entry: Entry) -> Json:
    app = import_module(f"volfuse.cli.{entry.module}").app
    info = next(info for info in app.registered_commands if info.name == entry.name)
    return get_command_from_info(info, pretty_exceptions_short=False, rich_markup_mode=None)


def _flags(command: Json, ctx: Context, checks: Mapping[str, Check]) -> list[Flag]:
    """Return the command's flags, `--help` first."""
    options = [p for p in command.get_params(ctx) if p.param_type_name == "option"]
    return [_flag(option, name, checks) for option in options[-1:] + options[:-1] for name in _names(option)]


def _names(option: Json) -> list[str]:
    """Return the long names of an option: its own and older ones."""
    return [name for name in option.opts if name.startswith("--")]


def _flag(option: Json, long: str, checks: Mapping[str, Check]) -> Flag:
    return Flag(
        long=long,
        short=next((name for name in option.opts if not name.startswith("--")), ""),
        negative=next(iter(option.secondary_opts), ""),
        takes_value=not option.is_flag,
        check=checks.get(long) or _CHECKS.get(option.metavar or ""),
    )


def _option_lines(command: Json, ctx: Context) -> list[str]:
    options = [p for p in command.get_params(ctx) if p.param_type_name == "option" and not p.hidden]
    left = [_left(_flag(o, _names(o)[0], {}), o.metavar) for o in options if o.name != "help"]
    right = [_first_line(o.help) for o in options if o.name != "help"]
    rows = sorted(zip(left, right, strict=True), key=lambda row: row[0].split("--")[1])
    width = max(map(len, left), default=0) + _HELP_GAP
    return [f"{name:{width}}{text}".rstrip() for name, text in rows]


def _left(flag: Flag, metavar: str | None) -> str:
    short = f"{flag.short}, " if flag.short else "    "
    return f"  {short}{flag.long}{' ' + metavar if metavar and flag.takes_value else ''}"


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n", 1)[0].rstrip(".")


def _wanted(low: int, high: int | None) -> str:
    if high == 0:
        return "accepts no arguments"
    if high is None:
        return f"requires at least {_counted(low)}"
    if low == high:
        return f"requires {_counted(low)}"
    if low == 0:
        return f"requires at most {_counted(high)}"
    return f"requires at least {low} and at most {_counted(high)}"


def _counted(number: int) -> str:
    return f"{number} argument{'' if number == 1 else 's'}"


def _explained(fault: UsageFault, ctx: Context, usage_line: str) -> UsageFault:
    if fault.explained:
        return fault
    parts: Sequence[str] = [
        str(fault),
        *([usage_line] if fault.usage else []),
        f"{fault.see} '{ctx.command_path} --help' for more information",
    ]
    return UsageFault("\n\n".join(parts), fault.status, explained=True)
