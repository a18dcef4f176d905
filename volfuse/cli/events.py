"""events: the daemon's stream of events, as it comes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from volfuse.cli.changes import follow
from volfuse.cli.client import filters
from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.filtering import parse_filters
from volfuse.cli.humanize import rfc3339
from volfuse.cli.jsontypes import Json
from volfuse.cli.moments import moment
from volfuse.cli.options import Filters, Format
from volfuse.cli.output import say
from volfuse.cli.session import client_of
from volfuse.core.gotemplate import Object, Template, TemplateError

app = typer.Typer()

_NS = 1_000_000_000
_ORDER = ("status", "id", "from", "Type", "Action", "Actor", "scope", "time", "timeNano")
_GO_NAMES = {"Status": "status", "ID": "id", "From": "from", "Scope": "scope", "Time": "time", "TimeNano": "timeNano"}
_NUMBERS = ("Time", "TimeNano")


@app.command("events", cls=verb(), help="Get real time events from the server")
def events(
    ctx: typer.Context,
    filter_: Filters = None,
    format_: Format = "",
    since: Annotated[
        str, typer.Option("--since", metavar="string", help="Show all events created since timestamp")
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="string", help="Stream events until this timestamp")] = "",
    changes: Annotated[
        bool, typer.Option("--changes", help="Instead show who changes what in volumes and binds")
    ] = False,
    volume: Annotated[
        str, typer.Option("--volume", metavar="string", help="With --changes: only in this volume, or bind by its path")
    ] = "",
    container: Annotated[
        str, typer.Option("--container", metavar="string", help="With --changes: only through this container")
    ] = "",
) -> None:
    """Print events until the stream ends."""
    if changes:
        if filter_ or until:
            raise CommandFailed("--filter and --until do not go with --changes")
        follow(client_of(ctx), volume, container, since, format_)
        return
    if volume or container:
        raise CommandFailed("--volume and --container need --changes")
    template = _template(format_)
    query = {
        "since": moment(since),
        "until": moment(until),
        "filters": filters(parse_filters(filter_ or [])),
    }
    for event in client_of(ctx).lines("GET", "/events", query):
        say(_line(event) if template is None else _filled(template, event))
        sys.stdout.flush()


def _template(format_: str) -> Template | None:
    if not format_:
        return None
    try:
        return Template("{{json .}}" if format_ == "json" else format_)
    except TemplateError as fault:
        raise CommandFailed(f"Error parsing format: {fault}", 64) from fault


def _line(event: Json) -> str:
    at_ns = event.get("timeNano") or event.get("time", 0) * _NS
    actor = event.get("Actor") or {}
    attributes = ", ".join(sorted(f"{key}={value}" for key, value in (actor.get("Attributes") or {}).items()))
    shown = f" ({attributes})" if attributes else ""
    return f"{rfc3339(at_ns // _NS, at_ns % _NS)} {event['Type']} {event['Action']} {actor.get('ID', '')}{shown}"


def _filled(template: Template, event: Json) -> str:
    try:
        return template.execute(_message(event))
    except TemplateError as fault:
        raise CommandFailed(str(fault)) from fault


def _message(event: Json) -> Object:
    """Return the event with the names of Docker's struct; JSON keeps those of the API, attributes sorted."""
    actor = event.get("Actor") or {}
    attributes = actor.get("Attributes")
    sorted_actor = {
        "ID": actor.get("ID", ""),
        "Attributes": None if attributes is None else dict(sorted(attributes.items())),
    }
    fields = {key: sorted_actor if key == "Actor" else event[key] for key in _ORDER if key in event}
    hidden = {name: event.get(key, 0 if name in _NUMBERS else "") for name, key in _GO_NAMES.items()}
    return Object(fields, hidden)
