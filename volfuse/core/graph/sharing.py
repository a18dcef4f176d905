"""The graph: containers, the volumes and binds that they mount, and who took whose mounts by `--volumes-from`.

Made of what `GET /volfuse/views` and `GET /volumes` answer, so the command and the page show the same. Mounts of a
tmpfs are left out, since nobody shares them. A donor is found by what the container was created with, a name or an id;
one that has been removed or renamed since is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from volfuse.core.volumesfrom import parse_volumes_from

__all__ = [
    "Donation",
    "Graph",
    "MountEdge",
    "Sharer",
    "Source",
    "SourceKind",
    "around",
    "graph_json",
    "graph_of",
    "printable",
]

_ANONYMOUS = 64
_SHORT = 12


class SourceKind(StrEnum):
    """What a source is, in Docker's words."""

    VOLUME = "volume"
    BIND = "bind"


@dataclass(frozen=True, slots=True)
class MountEdge:
    """One mount of a container.

    Attributes:
        source: key of a `Source`.
    """

    destination: str
    source: str
    rw: bool


@dataclass(frozen=True, slots=True)
class Sharer:
    """A container; `mounts` by destination."""

    id: str
    name: str
    state: str
    mounts: tuple[MountEdge, ...]

    @property
    def key(self) -> str:
        """What edges call it."""
        return f"container:{self.id}"


@dataclass(frozen=True, slots=True)
class Source:
    """A volume or a bind.

    Attributes:
        name: of the volume, or host path of the bind.
        sharers: keys of the containers that mount it, each once.
    """

    kind: SourceKind
    name: str
    sharers: tuple[str, ...]

    @property
    def key(self) -> str:
        """What edges call it."""
        return f"{self.kind}:{self.name}"

    @property
    def short_name(self) -> str:
        """The name as it is shown where there is little room: of an anonymous volume the first digits."""
        anonymous = self.kind is SourceKind.VOLUME and len(self.name) == _ANONYMOUS
        return self.name[:_SHORT] if anonymous else self.name


@dataclass(frozen=True, slots=True)
class Donation:
    """`taker` was created with the mounts of `donor` (keys of containers)."""

    taker: str
    donor: str


@dataclass(frozen=True, slots=True)
class Graph:
    """All of it: containers oldest first, sources by kind and name, unused volumes too."""

    containers: tuple[Sharer, ...]
    sources: tuple[Source, ...]
    donations: tuple[Donation, ...]


def graph_of(views: Iterable[Mapping[str, Any]], volumes: Iterable[str]) -> Graph:
    """Return the graph.

    Args:
        views: objects of `GET /volfuse/views`.
        volumes: names of all volumes.
    """
    views = list(views)
    containers = tuple(_sharer(view) for view in views)
    users: dict[tuple[SourceKind, str], dict[str, None]] = {(SourceKind.VOLUME, name): {} for name in volumes}
    for container in containers:
        for mount in container.mounts:
            kind, _, name = mount.source.partition(":")
            users.setdefault((SourceKind(kind), name), {})[container.key] = None
    sources = tuple(Source(kind, name, tuple(users[kind, name])) for kind, name in sorted(users, key=_order))
    return Graph(containers, sources, tuple(_donations(views)))


def around(graph: Graph, key: str) -> Graph:
    """Return the part of a graph that has to do with one container or source.

    That is the sources it mounts or is, all who mount these, and its donors and takers. What is not in the graph has
    nothing around it.
    """
    mounted = {mount.source for container in graph.containers if container.key == key for mount in container.mounts}
    sources = tuple(source for source in graph.sources if source.key == key or source.key in mounted)
    near = {key, *(sharer for source in sources for sharer in source.sharers)}
    near |= {other for d in graph.donations for other in (d.taker, d.donor) if key in (d.taker, d.donor)}
    kept = {source.key for source in sources}
    containers = tuple(
        replace(container, mounts=tuple(mount for mount in container.mounts if mount.source in kept))
        for container in graph.containers
        if container.key in near
    )
    return Graph(containers, sources, tuple(d for d in graph.donations if d.taker in near and d.donor in near))


def graph_json(graph: Graph) -> dict[str, Any]:
    """Return the graph as an object for JSON."""
    return {
        "Containers": [
            {
                "Key": container.key,
                "Id": container.id,
                "Name": container.name,
                "State": container.state,
                "Mounts": [
                    {"Destination": mount.destination, "Source": mount.source, "RW": mount.rw}
                    for mount in container.mounts
                ],
                "VolumesFrom": [d.donor for d in graph.donations if d.taker == container.key],
            }
            for container in graph.containers
        ],
        "Sources": [
            {"Key": source.key, "Type": source.kind, "Name": source.name, "Containers": list(source.sharers)}
            for source in graph.sources
        ],
    }


def printable(text: str) -> str:
    """Return a text on one line, with escapes for what does not print or turns the writing round."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _sharer(view: Mapping[str, Any]) -> Sharer:
    mounts = sorted(view["Mounts"], key=lambda mount: str(mount["Destination"]))
    kinds = tuple(SourceKind)
    edges = (
        MountEdge(mount["Destination"], f"{mount['Type']}:{mount['Label']}", mount["RW"])
        for mount in mounts
        if mount["Type"] in kinds
    )
    return Sharer(view["Id"], view["Container"], view["State"], tuple(edges))


def _order(source: tuple[SourceKind, str]) -> tuple[int, str]:
    return list(SourceKind).index(source[0]), source[1]


def _donations(views: Iterable[Mapping[str, Any]]) -> Iterable[Donation]:
    known = list(views)
    for view in known:
        found = dict.fromkeys(_donor(known, spec) for spec in view["VolumesFrom"])
        yield from (Donation(f"container:{view['Id']}", f"container:{donor}") for donor in found if donor)


def _donor(views: Iterable[Mapping[str, Any]], spec: str) -> str:
    """Return the id of the container that a spec names: by id, by name, by the beginning of an id, as Docker looks."""
    wanted = parse_volumes_from(spec).container
    by_id = {str(view["Id"]): str(view["Container"]) for view in views}
    if wanted in by_id:
        return wanted
    named = [found for found, name in by_id.items() if name == wanted.removeprefix("/")]
    return next(iter(named or [found for found in by_id if found.startswith(wanted)]), "")
