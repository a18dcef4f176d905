"""graph: which containers share which volumes and binds."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from volfuse.cli.command import verb
from volfuse.cli.failure import CommandFailed
from volfuse.cli.options import NoTrunc
from volfuse.cli.output import complain, show
from volfuse.cli.session import client_of
from volfuse.core.graph.dot import dot_of
from volfuse.core.graph.sharing import Graph, graph_json, graph_of
from volfuse.core.graph.svg import svg_of
from volfuse.core.graph.text import text_of

app = typer.Typer()

_FORMATS = ("text", "dot", "svg", "json")


@app.command("graph", cls=verb(), help="Show which containers share which volumes and binds")
def graph(
    ctx: typer.Context,
    format_: Annotated[
        str, typer.Option("--format", metavar="string", help="Format of the output: 'text', 'dot', 'svg', 'json'")
    ] = "text",
    no_trunc: NoTrunc = False,
) -> None:
    """Print the graph."""
    if format_ not in _FORMATS:
        raise CommandFailed(f"invalid value for --format: {format_!r} is none of {', '.join(_FORMATS)}")
    client = client_of(ctx)
    views = client.get("/volfuse/views")
    volumes = client.get("/volumes")["Volumes"] or []
    found = graph_of(views, [volume["Name"] for volume in volumes])
    show(_shown(found, format_, trunc=not no_trunc))
    if format_ == "text" and not found.containers and not found.sources:
        complain("there are no containers and no volumes")


def _shown(graph: Graph, format_: str, *, trunc: bool) -> str:
    match format_:
        case "dot":
            return dot_of(graph, trunc=trunc)
        case "svg":
            return svg_of(graph)
        case "json":
            return json.dumps(graph_json(graph), ensure_ascii=False) + "\n"
        case _:
            return text_of(graph, trunc=trunc)
