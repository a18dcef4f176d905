"""The graph in Graphviz's language.

Source: graphviz.org/doc/info/lang.html (a quoted string escapes nothing but its quote) and escString (in labels a
backslash begins an escape, and `&…;` is an HTML entity).
"""

from __future__ import annotations

from collections.abc import Iterator

from volfuse.core.graph.sharing import Graph, Source, SourceKind, printable

__all__ = ["dot_of"]

_SHAPES = {SourceKind.VOLUME: "cylinder", SourceKind.BIND: "folder"}


def dot_of(graph: Graph, *, trunc: bool = True) -> str:
    """Return a digraph; nodes have short ids, so that names are in labels only.

    Args:
        trunc: shorten the names of anonymous volumes.
    """
    return "".join(f"{line}\n" for line in _lines(graph, trunc))


def _lines(graph: Graph, trunc: bool) -> Iterator[str]:
    ids = {container.key: f"c{n}" for n, container in enumerate(graph.containers)}
    ids |= {source.key: f"s{n}" for n, source in enumerate(graph.sources)}
    yield "digraph volfuse {"
    yield "  rankdir=LR"
    yield '  node [fontname="sans-serif"]'
    yield '  edge [fontname="sans-serif" fontsize=10]'
    for container in graph.containers:
        yield f"  {ids[container.key]} [shape=box style=rounded label={_label(container.name, container.state)}]"
    for source in graph.sources:
        yield f"  {ids[source.key]} [shape={_SHAPES[source.kind]} label={_source_label(source, trunc)}]"
    for container in graph.containers:
        for mount in container.mounts:
            direction = "both" if mount.rw else "back"
            yield f"  {ids[container.key]} -> {ids[mount.source]} [dir={direction} label={_label(mount.destination)}]"
    for donation in graph.donations:
        attributes = 'style=dashed constraint=false label="volumes-from"'
        yield f"  {ids[donation.taker]} -> {ids[donation.donor]} [{attributes}]"
    yield "}"


def _source_label(source: Source, trunc: bool) -> str:
    name = source.short_name if trunc else source.name
    return _label(name, source.kind if source.sharers else f"{source.kind}, unused")


def _label(*lines: str) -> str:
    return '"' + r"\n".join(map(_escaped, lines)) + '"'


def _escaped(text: str) -> str:
    return printable(text).replace("\\", r"\\").replace('"', r"\"").replace("&", "&amp;")
