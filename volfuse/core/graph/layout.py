"""Where everything is drawn: containers on the left, a line for each of their mounts, sources on the right.

The place of a box depends on nothing but the graph, and containers stay in the order of their creation, so a picture
changes only where the graph does. What hangs together is drawn together, oldest container first; a source is level
with the middle of its users. With many containers their boxes are one line high, and sources are spread along them, so
that lines do not all lead to the middle. Lengths are pixels; texts are sized for a monospace font of 12 px.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from volfuse.core.graph.sharing import Graph, Sharer, Source, SourceKind, printable

__all__ = ["Box", "Layout", "Line", "Row", "lay_out"]

MARGIN = 16
GUTTER = 56
"""Left of the containers, for the lines between them."""
CONTAINER_WIDTH = 240
SOURCE_WIDTH = 280
GAP = 200
HEAD = 26
ROW = 20
FOOT = 6
SOURCE_HEIGHT = 44
SPACE = 14
"""Between boxes."""
MANY = 40
"""With more containers, their mounts have no lines of their own."""
DENSE = 6
"""Between containers then."""
PAD = 12
CHARACTER = 7.25


@dataclass(frozen=True, slots=True)
class Row:
    """A mount in a container's box; `y` is its middle."""

    text: str
    y: float
    rw: bool


@dataclass(frozen=True, slots=True)
class Box:
    """A container or a source: `title`, `note` below or beside it, rows of mounts."""

    key: str
    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str
    note: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A mount (`begin` a container, `end` a source) or a donation (`begin` the taker, `end` the donor).

    Attributes:
        path: as SVG writes it, from `begin` to `end`.
        where: destination of a mount.
    """

    kind: str
    begin: str
    end: str
    path: str
    rw: bool = True
    where: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A whole picture."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def lay_out(graph: Graph) -> Layout:
    """Return the picture of a graph."""
    left = MARGIN + (GUTTER if graph.donations else 0)
    right = left + CONTAINER_WIDTH + GAP
    boxes: dict[str, Box] = {}
    top = float(MARGIN)
    many = len(graph.containers) > MANY
    for containers, sources in _components(graph):
        below = top
        for container in containers:
            boxes[container.key] = box = _container(container, left, below, few=not many)
            below += box.height + (DENSE if many else SPACE)
        pitch = max(SOURCE_HEIGHT + SPACE, (below - top) / max(len(sources), 1) if many else 0)
        placed = _beside(sources, boxes, containers, right, top, pitch)
        boxes |= {box.key: box for box in placed}
        top = max([below, *(box.y + box.height + SPACE for box in placed)])
    return Layout(
        right + SOURCE_WIDTH + MARGIN, top - SPACE + MARGIN, tuple(boxes.values()), tuple(_lines(graph, boxes))
    )


def _components(graph: Graph) -> Iterable[tuple[list[Sharer], list[Source]]]:
    """Yield what hangs together, by its oldest container; unused sources come last, together."""
    group = {key: key for key in (*(c.key for c in graph.containers), *(s.key for s in graph.sources))}

    def top(key: str) -> str:
        while group[key] != key:
            group[key] = key = group[group[key]]
        return key

    for begin, end in _pairs(graph):
        group[top(end)] = top(begin)
    containers: dict[str, list[Sharer]] = {}
    for container in graph.containers:
        containers.setdefault(top(container.key), []).append(container)
    sources: dict[str, list[Source]] = {}
    for source in graph.sources:
        sources.setdefault(top(source.key) if source.sharers else "", []).append(source)
    for key, members in containers.items():
        yield members, sources.get(key, [])
    yield [], sources.get("", [])


def _pairs(graph: Graph) -> Iterable[tuple[str, str]]:
    yield from ((container.key, mount.source) for container in graph.containers for mount in container.mounts)
    yield from ((donation.taker, donation.donor) for donation in graph.donations)


def _container(container: Sharer, x: float, y: float, *, few: bool) -> Box:
    width = CONTAINER_WIDTH - 2 * PAD
    rows = tuple(
        Row(_fitted(mount.destination, width - 3 * CHARACTER), y + HEAD + (n + 0.5) * ROW, mount.rw)
        for n, mount in enumerate(container.mounts if few else ())
    )
    height = HEAD + len(rows) * ROW + (FOOT if few else 0)
    room = width - (len(container.state) + 2) * CHARACTER
    title = _fitted(container.name, room)
    return Box(container.key, "container", x, y, CONTAINER_WIDTH, height, title, container.state, rows)


def _beside(
    sources: Sequence[Source],
    boxes: Mapping[str, Box],
    containers: Iterable[Sharer],
    x: float,
    top: float,
    pitch: float,
) -> list[Box]:
    """Place sources as near as they can be to the middle of their users, one below the other."""
    wished: dict[str, list[float]] = {}
    for container in containers:
        for mount, y in zip(container.mounts, _ports(boxes[container.key], container), strict=True):
            wished.setdefault(mount.source, []).append(y)
    middles = {key: sum(ys) / len(ys) - SOURCE_HEIGHT / 2 for key, ys in wished.items()}
    ordered = sorted(sources, key=lambda source: middles.get(source.key, 0.0))
    tops = _spread([middles.get(source.key, top) for source in ordered], top, pitch)
    return [_source(source, x, y) for source, y in zip(ordered, tops, strict=True)]


def _ports(box: Box, container: Sharer) -> Sequence[float]:
    """Return the height at which the line of each mount begins."""
    return [row.y for row in box.rows] or [box.y + box.height / 2] * len(container.mounts)


def _spread(wished: Sequence[float], top: float, pitch: float) -> list[float]:
    """Return places in this order that are so far apart: where they are not, a block moves to the mean of its wishes.

    (The pool-adjacent-violators algorithm, which is least squares under an order.)
    """
    blocks: list[tuple[float, int]] = []  # mean of its places less what lies above in it, and how many
    for number, wish in enumerate(wished):
        mean, count = wish - number * pitch, 1
        while blocks and blocks[-1][0] >= mean:
            above, many = blocks.pop()
            mean, count = (above * many + mean * count) / (many + count), many + count
        blocks.append((mean, count))
    starts = [max(mean, top) for mean, count in blocks for _ in range(count)]
    return [start + number * pitch for number, start in enumerate(starts)]


def _source(source: Source, x: float, y: float) -> Box:
    shared = f"{len(source.sharers)} container{'' if len(source.sharers) == 1 else 's'}"
    note = f"{source.kind} · {shared if source.sharers else 'unused'}"
    title = _fitted(source.short_name, SOURCE_WIDTH - 2 * PAD, keep_end=source.kind is SourceKind.BIND)
    return Box(source.key, source.kind, x, y, SOURCE_WIDTH, SOURCE_HEIGHT, title, note)


def _lines(graph: Graph, boxes: Mapping[str, Box]) -> Iterable[Line]:
    for container in graph.containers:
        box = boxes[container.key]
        for mount, y in zip(container.mounts, _ports(box, container), strict=True):
            end = boxes[mount.source]
            path = _across(box.x + box.width, y, end)
            yield Line("mount", box.key, end.key, path, mount.rw, printable(mount.destination))
    for donation in graph.donations:
        taker, donor = boxes[donation.taker], boxes[donation.donor]
        yield Line("volumes-from", taker.key, donor.key, _around(taker, donor))


def _across(x: float, y: float, end: Box) -> str:
    middle = (x + end.x) / 2
    to_y = end.y + end.height / 2
    return f"M{x:g} {y:g}C{middle:g} {y:g} {middle:g} {to_y:g} {end.x:g} {to_y:g}"


def _around(taker: Box, donor: Box) -> str:
    """Draw a line along the left side, the further out the longer it is."""
    begin, end = taker.y + HEAD / 2, donor.y + HEAD / 2
    x = taker.x - min(16 + abs(end - begin) / 5, GUTTER) * 4 / 3  # such a curve reaches 3/4 of the way
    return f"M{taker.x:g} {begin:g}C{x:g} {begin:g} {x:g} {end:g} {donor.x:g} {end:g}"


def _fitted(text: str, width: float, *, keep_end: bool = False) -> str:
    """Return a text cut to a width, with an ellipsis."""
    text = printable(text)
    room = int(width / CHARACTER)
    if _columns(text) <= room:
        return text
    kept = text[::-1] if keep_end else text
    while _columns(kept) > room - 1:
        kept = kept[:-1]
    return f"…{kept[::-1]}" if keep_end else f"{kept}…"


def _columns(text: str) -> int:
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
