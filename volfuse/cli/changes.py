"""log, and what `events --changes` prints: who changed what in volumes and binds."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from typing import Annotated

import typer

from volfuse.cli.client import Client, Query
from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.humanize import rfc3339, short_id
from volfuse.cli.jsontypes import Json
from volfuse.cli.listing import Kind, Row, render
from volfuse.cli.moments import moment
from volfuse.cli.options import Format, NoTrunc
from volfuse.cli.output import complain, say, show
from volfuse.cli.session import client_of
from volfuse.core.gotemplate import Template, TemplateError

__all__ = ["CHANGE", "follow"]

app = typer.Typer()

_NS = 1_000_000_000
_FULL_ID = 64
_CURSOR = re.compile(r"[0-9a-f]{12}-\d+\Z")
_ROUTE = "/volfuse/changes"


def _time(row: Row) -> str:
    return rfc3339(row.item["TimeNano"] // _NS, row.item["TimeNano"] % _NS)


def _place(row: Row, key: str = "Path") -> str:
    volume = row.item["Volume"] or _text(row.item, "Source")
    short = short_id(volume) if row.trunc and len(volume) == _FULL_ID else volume
    return f"{short}:{_text(row.item, key)}" if row.item.get(key) else short


def _change(row: Row) -> str:
    new = f" -> {_text(row.item, 'NewPath')}" if row.item.get("NewPath") else ""
    return f"{row.item['Kind']} {_place(row)}{new}"


def _program(row: Row) -> str:
    name = _text(row.item, "Command")
    pid = row.item.get("PID")
    return f"{name}[{pid}]" if pid is not None else name


CHANGE = Kind(
    go_type="volfuse change",
    fields={
        "By": lambda r: r.item.get("Container") or r.item["Origin"],
        "Bytes": lambda r: r.item.get("Bytes", ""),
        "Change": _change,
        "Command": lambda r: _text(r.item, "Command"),
        "Container": lambda r: r.item.get("Container", ""),
        "ContainerID": lambda r: r.item.get("ContainerID", ""),
        "Cursor": lambda r: r.item["Cursor"],
        "Detail": lambda r: _text(r.item, "Detail"),
        "GID": lambda r: r.item.get("GID", ""),
        "Kind": lambda r: r.item["Kind"],
        "NewPath": lambda r: _text(r.item, "NewPath"),
        "Origin": lambda r: r.item["Origin"],
        "PID": lambda r: r.item.get("PID", ""),
        "Path": lambda r: _text(r.item, "Path"),
        "Place": _place,
        "Program": _program,
        "Sequence": lambda r: r.item["Sequence"],
        "Size": lambda r: r.item.get("Size", ""),
        "Source": lambda r: _text(r.item, "Source"),
        "Time": _time,
        "TimeNano": lambda r: r.item["TimeNano"],
        "UID": lambda r: r.item.get("UID", ""),
        "Volume": lambda r: r.item["Volume"],
    },
    headers={
        "By": "BY",
        "Bytes": "BYTES",
        "Change": "CHANGE",
        "Command": "COMMAND",
        "Container": "CONTAINER",
        "ContainerID": "CONTAINER ID",
        "Cursor": "CURSOR",
        "Detail": "DETAIL",
        "GID": "GID",
        "Kind": "KIND",
        "NewPath": "NEW PATH",
        "Origin": "ORIGIN",
        "PID": "PID",
        "Path": "PATH",
        "Place": "PLACE",
        "Program": "PROGRAM",
        "Sequence": "SEQUENCE",
        "Size": "SIZE",
        "Source": "SOURCE",
        "Time": "TIME",
        "TimeNano": "TIME NANO",
        "UID": "UID",
        "Volume": "VOLUME",
    },
    table=r"table {{.Time}}\t{{.By}}\t{{.Program}}\t{{.UID}}\t{{.Change}}",
)


@app.command("log", cls=verb("PATH|VOLUME", 1, 1), help="Show who changed a file, directory or volume last")
def log(
    ctx: typer.Context,
    subject: str,
    tail: Annotated[int, typer.Option("-n", "--tail", metavar="int", help="Number of changes to show")] = 20,
    format_: Format = "",
    no_trunc: NoTrunc = False,
) -> None:
    """Print the last changes, the youngest at the end."""
    if tail < 1:
        raise CommandFailed(f"invalid value for --tail: {tail} is less than 1")
    query = {"latest": str(tail), **_subject(subject)}
    found = list(client_of(ctx).lines("GET", _ROUTE, query))
    if format_ == "json":
        show("".join(f"{json.dumps(change, ensure_ascii=False)}\n" for change in found))
        return
    show(render(CHANGE, found, format_, trunc=not no_trunc))
    if not found:
        complain(f"no change of {subject} is known")


def follow(client: Client, volume: str, container: str, since: str, format_: str) -> None:
    """Print changes as they come, a line each, until the stream ends."""
    template = None if format_ in ("", "json") else _template(format_)
    query: Query = {
        "follow": "1",
        "volume": volume or None,
        "container": container or None,
        "since": since if _CURSOR.match(since) else moment(since),
    }
    for change in client.lines("GET", _ROUTE, query):
        if format_ == "json":
            say(json.dumps(change, ensure_ascii=False))
        elif "Missed" in change:
            _complain_of(change)
        else:
            row = Row(change, CHANGE)
            say(_line(row) if template is None else _filled(template, row))
        sys.stdout.flush()


def _subject(text: str) -> dict[str, str]:
    """Return how the API is asked for a path of the host or, without a slash and such a file, for a volume."""
    if "/" in text or os.path.lexists(text):
        return {"at": os.path.abspath(text)}
    return {"volume": text}


def _template(format_: str) -> Template:
    try:
        return Template(format_)
    except TemplateError as fault:
        raise CommandFailed(f"Error parsing format: {fault}", 64) from fault


def _filled(template: Template, row: Row) -> str:
    try:
        return template.execute(row)
    except TemplateError as fault:
        raise CommandFailed(str(fault)) from fault


def _line(row: Row) -> str:
    item = row.item
    known = [_program(row)] if "Command" in item or "PID" in item else []
    known += [
        f"{name}={item[key]}" for name, key in (("uid", "UID"), ("size", "Size"), ("bytes", "Bytes")) if key in item
    ]
    known += [_text(item, "Detail")] if item.get("Detail") else []
    return f"{_time(row)} {row.field('By')} {_change(row)}" + (f" ({', '.join(known)})" if known else "")


def _complain_of(gap: Json) -> None:
    missed = "changes" if gap["Missed"] is None else f"{gap['Missed']} change{'' if gap['Missed'] == 1 else 's'}"
    complain(f"missed {missed}: {gap['Reason']}")


def _text(item: Json, key: str) -> str:
    """Return a text that may come from a file's name, on one line."""
    exact = item.get(f"{key}Base64")
    text = os.fsdecode(base64.b64decode(exact)) if exact is not None else item.get(key, "")
    return "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else repr(c)[1:-1] for c in text)
