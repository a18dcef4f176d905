"""Listings: rows of objects printed by a Go template, as a table or line by line.

Each kind of listing is data: its fields, their headers, the default table. Docker's formatter works alike
(docker/cli cli/command/formatter).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from volfuse.cli.failure import CommandFailed
from volfuse.cli.jsontypes import Json
from volfuse.cli.tabular import align
from volfuse.core.gotemplate import Template, TemplateError
from volfuse.core.gotemplate.functions import FUNCTIONS, HEADER_FUNCTIONS

__all__ = ["Fields", "Kind", "Row", "label_of", "labels_text", "render", "render_json", "uses"]

Getter = Callable[["Row"], Json]
Fields = Mapping[str, Getter]

_TABLE = "table"
_JSON = "{{json .}}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of listing.

    Attributes:
        go_type: name of Docker's type, for errors.
        fields: what a template may ask for; a getter that returns a callable is a method.
        headers: column titles.
        table: default format.
        quiet: format of `--quiet`.
    """

    go_type: str
    fields: Fields
    headers: Mapping[str, str]
    table: str
    quiet: str = "{{.ID}}"


@dataclass(slots=True)
class Row:
    """One object as templates see it.

    Attributes:
        item: the object of the API.
        kind: its listing.
        trunc: shorten ids and long texts.
        used: names of the fields that were asked for.
    """

    item: Json
    kind: Kind
    trunc: bool = True
    used: set[str] = field(default_factory=set)

    @property
    def go_type(self) -> str:
        """The type's name in errors."""
        return self.kind.go_type

    def field(self, name: str) -> Json:
        """Return a field or a method."""
        self.used.add(name)
        return self.kind.fields[name](self)

    def marshalled(self) -> dict[str, Json]:
        """Return all fields."""
        values = ((name, self.field(name)) for name in self.kind.fields)
        return {name: value for name, value in values if not callable(value)}


class _Header:
    """The titles, in the place of a row."""

    def __init__(self, titles: Mapping[str, str]) -> None:
        self.go_type = "formatter.SubHeaderContext"
        self._titles = titles

    def field(self, name: str) -> Json:
        if name == "Label" and name not in self._titles:
            return lambda label: label.rsplit(".", 1)[-1].replace("-", " ").replace("_", " ")
        return self._titles.get(name)

    def marshalled(self) -> Mapping[str, Json]:
        return self._titles


def render(kind: Kind, items: Iterable[Json], chosen: str = "", *, trunc: bool = True, table: str = "") -> str:
    """Return the listing as text.

    Args:
        kind: of the items.
        items: objects of the API.
        chosen: the value of `--format`: empty, `table`, `table TEMPLATE`, `json` or a template.
        trunc: shorten ids and long texts.
        table: default instead of the kind's own.

    Raises:
        CommandFailed: the template is bad.
    """
    template_text, is_table = _resolve(chosen, table or kind.table)
    try:
        template = Template(template_text)
        lines = [template.execute(Row(item, kind, trunc)) + "\n" for item in items]
        if not is_table:
            return "".join(lines)
        header = Template(template_text, HEADER_FUNCTIONS).execute(_Header(kind.headers)) + "\n"
    except TemplateError as fault:
        raise CommandFailed(f"template parsing error: {fault}", 1) from fault
    return align(header + "".join(lines))


def render_json(kind: Kind, item: Json, *, trunc: bool = True) -> str:
    """Return one row as JSON."""
    return Template(_JSON).execute(Row(item, kind, trunc))


def uses(kind: Kind, chosen: str, name: str, sample: Json) -> bool:
    """Tell whether a template asks for a field, by running it on a sample.

    Raises:
        CommandFailed: the template is bad; the texts are those of `docker ps`, which does the same.
    """
    row = Row(sample, kind)
    if chosen in ("", _TABLE, "json"):
        return False
    try:
        template = Template(chosen.replace("\\t", "\t").replace("\\n", "\n"), FUNCTIONS)
    except TemplateError as fault:
        raise CommandFailed(f"failed to parse template: {fault}") from fault
    try:
        template.execute(row)
    except TemplateError as fault:
        raise CommandFailed(f"failed to execute template: {fault}") from fault
    return name in row.used


def label_of(labels: Mapping[str, str] | None) -> Callable[[str], str]:
    """Return the method `Label`."""
    return lambda name: (labels or {}).get(name, "")


def labels_text(labels: Mapping[str, str] | None) -> str:
    """Write labels as `a=1,b=2`."""
    return ",".join(sorted(f"{key}={value}" for key, value in (labels or {}).items()))


def _resolve(chosen: str, table: str) -> tuple[str, bool]:
    if chosen == "json":
        return _JSON, False
    if chosen in ("", _TABLE):
        chosen = table
    is_table = chosen.startswith(_TABLE)
    text = chosen.removeprefix(_TABLE) if is_table else chosen
    return text.strip(" ").replace("\\t", "\t").replace("\\n", "\n"), is_table
