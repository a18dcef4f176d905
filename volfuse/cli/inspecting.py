"""inspect: of containers, images, volumes, or whatever has the name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from volfuse.cli.client import Client, segment
from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed, DaemonError
from volfuse.cli.images import image_path
from volfuse.cli.jsontypes import Json
from volfuse.cli.output import complain, say, show
from volfuse.cli.session import client_of
from volfuse.cli.shapes import shaped
from volfuse.core.gotemplate import ExecutionError, ParseError, Template, marshal

app = typer.Typer()

Find = Callable[[str], Json]
Format = Annotated[
    str,
    typer.Option("-f", "--format", metavar="string", help="Format output using a custom template: 'json', 'TEMPLATE'"),
]
Size = Annotated[bool, typer.Option("-s", "--size", help="Display total file sizes if the type is container")]

_BAD_TEMPLATE = 64
_TYPES = ("container", "image", "volume")
_FOREIGN_TYPES = ("config", "network", "node", "plugin", "secret", "service", "task")


@app.command(
    "inspect", cls=verb("NAME|ID [NAME|ID...]", 1, None), help="Return low-level information on volfuse objects"
)
def inspect(
    ctx: typer.Context,
    names: list[str],
    format_: Format = "",
    size: Size = False,
    type_: Annotated[str, typer.Option("--type", metavar="string", help="Only inspect objects of the given type")] = "",
) -> int:
    """Print objects of any kind."""
    client = client_of(ctx)
    finders = _finders(client, size)
    if not type_:
        return _report(names, format_, lambda name: _any(finders, name))
    if type_ in _FOREIGN_TYPES:
        return _report(names, format_, _nothing)
    if type_ not in finders:
        known = ", ".join(f'"{name}"' for name in sorted([*_TYPES, *_FOREIGN_TYPES]))
        raise CommandFailed(f'unknown type: "{type_}": must be one of {known}')
    return _report(names, format_, finders[type_])


@app.command(
    "container",
    cls=verb("CONTAINER [CONTAINER...]", 1, None),
    help="Display detailed information on one or more containers",
)
def inspect_container(ctx: typer.Context, names: list[str], format_: Format = "", size: Size = False) -> int:
    """Print containers."""
    return _report(names, format_, _finders(client_of(ctx), size)["container"])


@app.command("image", cls=verb("IMAGE [IMAGE...]", 1, None), help="Display detailed information on one or more images")
def inspect_image(ctx: typer.Context, names: list[str], format_: Format = "") -> int:
    """Print images."""
    return _report(names, format_, _finders(client_of(ctx), False)["image"])


@app.command(
    "volume", cls=verb("VOLUME [VOLUME...]", 1, None), help="Display detailed information on one or more volumes"
)
def inspect_volume(ctx: typer.Context, names: list[str], format_: Format = "") -> int:
    """Print volumes."""
    return _report(names, format_, _finders(client_of(ctx), False)["volume"])


def _finders(client: Client, size: bool) -> dict[str, Find]:
    query = {"size": "1" if size else None}
    return {
        "container": lambda name: client.get(f"/containers/{segment(name)}/json", query),
        "image": lambda name: client.get(image_path(name, "/json")),
        "volume": lambda name: client.get(f"/volumes/{segment(name)}"),
    }


def _any(finders: dict[str, Find], name: str) -> Json:
    for find in finders.values():
        try:
            return find(name)
        except DaemonError as fault:
            if fault.code != 404:
                raise
    return _nothing(name)


def _nothing(name: str) -> Json:
    raise CommandFailed(f"Error: No such object: {name}")


def _report(names: Sequence[str], format_: str, find: Find) -> int:
    """Print what was found and then what failed, as Docker does; no object at all gives `[]` or an empty line."""
    template = _template(format_)
    found: list[Json] = []
    failures: list[CommandFailed] = []
    for name in names:
        try:
            item = find(name)
            found.append(item if template is None else _filled(template, item))
        except CommandFailed as fault:
            failures.append(fault)
    if template is not None:
        show("".join(f"{text}\n" for text in found) or "\n")
    elif format_ == "json":
        say(marshal(found))
    else:
        say(json.dumps(found, indent=4, ensure_ascii=False))
    sys.stdout.flush()
    for failure in failures:
        complain(failure)
    return 1 if failures else 0


def _template(format_: str) -> Template | None:
    if format_ in ("", "json"):
        return None
    try:
        return Template(format_)
    except ParseError as fault:
        raise CommandFailed(f"template parsing error: {fault}", _BAD_TEMPLATE) from fault


def _filled(template: Template, item: Json) -> str:
    try:
        return template.execute(shaped(item))
    except ExecutionError as fault:
        raise CommandFailed(f"template parsing error: {fault}") from fault
