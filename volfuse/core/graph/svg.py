"""The graph as a picture that stands by itself, light or dark as its reader has it."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from volfuse.core.graph.layout import CHARACTER, HEAD, PAD, Box, Layout, Line, lay_out
from volfuse.core.graph.sharing import Graph, printable

__all__ = ["svg_of"]

_STYLE = """
svg { color-scheme: light dark; background: #fff; font: 12px ui-monospace, monospace; }
text { fill: #1c2430; }
.note, .row { fill: #5b6675; }
rect { fill: #f4f6f9; stroke: #9aa5b4; }
.volume rect { fill: #e6f0fb; stroke: #3d7cc9; }
.bind rect { fill: #fdf1e0; stroke: #c07d1a; }
.title { font-weight: 600; }
path { fill: none; stroke: #7a8797; stroke-width: 1.5; }
.ro { stroke-dasharray: 2 4; }
.volumes-from { stroke: #9056c4; stroke-dasharray: 6 4; }
@media (prefers-color-scheme: dark) {
  svg { background: #14181f; }
  text { fill: #e4e9f0; }
  .note, .row { fill: #9aa5b4; }
  rect { fill: #1e242e; stroke: #566173; }
  .volume rect { fill: #15273c; stroke: #5a9be8; }
  .bind rect { fill: #33260f; stroke: #d99a3a; }
  .volumes-from { stroke: #b58ae0; }
}
"""


def svg_of(graph: Graph) -> str:
    """Return an SVG document. Titles, which readers show as tips, have names in full."""
    layout = lay_out(graph)
    names = {container.key: container.name for container in graph.containers}
    names |= {source.key: source.name for source in graph.sources}
    return "".join(f"{line}\n" for line in _document(layout, {key: printable(name) for key, name in names.items()}))


def _document(layout: Layout, names: dict[str, str]) -> Iterator[str]:
    size = f'width="{layout.width:g}" height="{layout.height:g}" viewBox="0 0 {layout.width:g} {layout.height:g}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    yield f"<title>Containers and what they share</title><style>{_STYLE}</style>"
    yield from (_line(line, names) for line in layout.lines)
    for box in layout.boxes:
        yield from _box(box, names[box.key])
    yield "</svg>"


def _line(line: Line, names: dict[str, str]) -> str:
    classes = line.kind if line.rw else f"{line.kind} ro"
    verb = "volumes from" if line.kind == "volumes-from" else "mounts" if line.rw else "mounts read-only"
    title = f"{names[line.begin]} {verb} {names[line.end]}" + (f" at {line.where}" if line.where else "")
    return f"<path class={quoteattr(classes)} d={quoteattr(line.path)}><title>{escape(title)}</title></path>"


def _box(box: Box, name: str) -> Iterator[str]:
    yield f"<g class={quoteattr(box.kind)}><title>{escape(name)}</title>"
    yield f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="6"/>'
    yield _text("title", box.x + PAD, box.y + HEAD / 2 + 5, box.title)
    if box.kind == "container":
        yield _text("note", box.x + box.width - PAD - len(box.note) * CHARACTER, box.y + HEAD / 2 + 5, box.note)
    else:
        yield _text("note", box.x + PAD, box.y + HEAD / 2 + 21, box.note)
    for row in box.rows:
        yield _text("row", box.x + PAD, row.y + 4, row.text if row.rw else f"{row.text} ro")
    yield "</g>"


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'
