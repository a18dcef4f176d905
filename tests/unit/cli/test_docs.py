"""Every command, its options that are named, and every variable have their line in docs/commands.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from volfuse.cli.command import Entry, Group
from volfuse.cli.main import app

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs" / "commands.md").read_text()
ROWS = {
    tuple(re.findall(r"`([^`]+)`", cells[1])): cells[2]
    for line in DOCS.split("## Settings")[0].splitlines()
    if line.startswith("| `") and (cells := re.split(r"(?<!\\)\|", line))
}


def _commands(group: Group, prefix: str = "") -> Iterator[str]:
    for name, entry in group.entries.items():
        if not isinstance(entry, Entry):
            yield from _commands(entry(name=name), f"{prefix}{name} ")
        elif not entry.hidden:
            yield prefix + name


def _root() -> Group:
    group = typer.main.get_group(app)
    assert isinstance(group, Group)
    return group


def test_every_command_has_a_line() -> None:
    commands = sorted(_commands(_root()))
    assert len(commands) > 60
    assert sorted(name for names in ROWS for name in names) == commands


@pytest.mark.parametrize("names", ROWS, ids=lambda names: names[0])
def test_options_that_are_named_exist(names: tuple[str, ...]) -> None:
    group = _root()
    context = typer.Context(group, info_name="volfuse")
    *groups, verb = names[0].split()
    for name in groups:
        group = group.get_command(context, name)
    options = {text for option in group.get_command(context, verb).params for text in option.opts}
    assert set(re.findall(r"`(--?[a-z-]+)", ROWS[names], re.IGNORECASE)) <= options


def test_every_variable_has_a_line() -> None:
    sources = [path.read_text() for path in (ROOT / "volfuse").rglob("*.py")]
    variables = {name for source in sources for name in re.findall(r"\bVOLFUSE_[A-Z]+\b", source)}
    assert variables == set(re.findall(r"\bVOLFUSE_[A-Z]+\b", DOCS))
