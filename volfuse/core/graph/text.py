"""The graph as text, for people."""

from __future__ import annotations

from volfuse.core.graph.sharing import Graph, Source, printable

__all__ = ["text_of"]


def text_of(graph: Graph, *, trunc: bool = True) -> str:
    """Return for each source who mounts it where, and then who took whose mounts.

    Args:
        trunc: shorten the names of anonymous volumes.
    """
    names = {container.key: printable(container.name) for container in graph.containers}
    blocks = [_block(graph, source, source.short_name if trunc else source.name) for source in graph.sources]
    if graph.donations:
        blocks.append("".join(f"{names[d.taker]} --volumes-from {names[d.donor]}\n" for d in graph.donations))
    return "\n".join(blocks)


def _block(graph: Graph, source: Source, title: str) -> str:
    rows = [
        (container.name, container.state, mount.destination + ("" if mount.rw else " (read-only)"))
        for container in graph.containers
        for mount in container.mounts
        if mount.source == source.key
    ]
    widths = [max((len(row[n]) for row in rows), default=0) for n in (0, 1)]
    head = f"{source.kind} {printable(title)}{'' if rows else ' (unused)'}\n"
    lines = [f"{name:{widths[0]}}   {state:{widths[1]}}   {printable(where)}" for name, state, where in rows]
    return head + "".join(f"{'└' if n == len(lines) else '├'}─ {line}\n" for n, line in enumerate(lines, 1))
