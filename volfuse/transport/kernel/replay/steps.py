"""What is to be done again in a view, and how it becomes less when it is too much.

A step is one system call of the helper, or two. Steps of a view are done in order. Equal neighbours become one, as in
the kernel's own queues, and what belongs together is done by one opening of the file. Where a view cannot keep up, what
has been overtaken is left out (`thinned`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from volfuse.core.watching import What

__all__ = ["Do", "Step", "combined", "step_of", "thinned"]


class Do(IntEnum):
    """What the helper does, and what its directory's watchers hear of it."""

    MAKE = 1
    """CREATE"""
    REMOVE = 2
    """DELETE"""
    MOVE = 3
    """MOVED_FROM, MOVED_TO with one cookie"""
    LEAVE = 4
    """MOVED_FROM"""
    ARRIVE = 5
    """MOVED_TO"""
    ATTRIB = 6
    """ATTRIB"""
    MODIFY = 7
    """MODIFY"""
    CLOSE = 8
    """OPEN, CLOSE_WRITE"""
    MODIFY_CLOSE = 9
    """OPEN, MODIFY, CLOSE_WRITE"""
    MAKE_CLOSE = 10
    """CREATE, OPEN, CLOSE_WRITE"""
    MAKE_MODIFY_CLOSE = 11
    """CREATE, OPEN, MODIFY, CLOSE_WRITE"""
    ITSELF = 12
    """ATTRIB of the directory"""


class Step(NamedTuple):
    """One thing to do again.

    Attributes:
        node: id of the view's directory.
        is_directory: the name is a directory's.
        new_node, new_name: where it goes, for MOVE.
        file: node id of a file that is watched itself and is to hear of it too; 0 for none.
    """

    do: Do
    node: int
    name: bytes
    is_directory: bool = False
    new_node: int = 0
    new_name: bytes = b""
    file: int = 0


_ISDIR: Final = int(What.ISDIR)
_STEPS = {
    int(What.CREATE): Do.MAKE,
    int(What.DELETE): Do.REMOVE,
    int(What.MOVED_FROM): Do.LEAVE,
    int(What.MOVED_TO): Do.ARRIVE,
    int(What.ATTRIB): Do.ATTRIB,
    int(What.MODIFY): Do.MODIFY,
    int(What.CLOSE_WRITE): Do.CLOSE,
}

_TOGETHER = {
    (Do.MODIFY, Do.CLOSE): Do.MODIFY_CLOSE,
    (Do.MAKE, Do.CLOSE): Do.MAKE_CLOSE,
    (Do.MAKE, Do.MODIFY_CLOSE): Do.MAKE_MODIFY_CLOSE,
}
_REPEATABLE = frozenset({Do.ATTRIB, Do.MODIFY, Do.CLOSE, Do.ITSELF})
_SEQUENCES = frozenset({Do.MAKE, Do.REMOVE, Do.MOVE, Do.LEAVE, Do.ARRIVE})


def step_of(node: int, name: bytes, what: int, file: int = 0) -> Step | None:
    """Return the step for an event of a directory, renames within it apart; None if nothing is to be done."""
    kind = what & ~_ISDIR
    is_directory = what & _ISDIR != 0
    if not name:
        return Step(Do.ITSELF, node, b"", True) if kind == What.ATTRIB else None
    do = _STEPS.get(kind)
    if do is None or (is_directory and do in (Do.MODIFY, Do.CLOSE)):
        return None
    return Step(do, node, name, is_directory, file=file)


def combined(steps: Iterable[Step]) -> list[Step]:
    """Return steps of one view, with neighbours that belong together as one."""
    found: list[Step] = []
    for step in steps:
        last = found[-1] if found else None
        if last is not None and last[1:] == step[1:]:
            if last.do is step.do and step.do in _REPEATABLE:
                continue
            together = _TOGETHER.get((last.do, step.do))
            if together is not None and not step.is_directory:
                found[-1] = step._replace(do=together)
                # MODIFY and CLOSE may have become what belongs to a MAKE before them.
                before = found[-2] if len(found) > 1 else None
                if before is not None and before[1:] == step[1:]:
                    whole = _TOGETHER.get((before.do, together))
                    if whole is not None:
                        found[-2:] = [step._replace(do=whole)]
                continue
        found.append(step)
    return found


def thinned(steps: Sequence[Step]) -> list[Step]:
    """Return steps without those that have been overtaken: of each name the last change of content and of attributes.

    Names made, moved and removed stay, in their order: whoever counts them hears all of them.
    """
    seen: set[tuple[Do, int, bytes]] = set()
    kept: list[Step] = []
    for step in reversed(steps):
        if step.do not in _SEQUENCES:
            key = step.do, step.node, step.name
            if key in seen:
                continue
            seen.add(key)
        else:
            # What was done under a name before is of another file.
            for do in (Do.ATTRIB, Do.MODIFY, Do.CLOSE):
                seen.discard((do, step.node, step.name))
        kept.append(step)
    kept.reverse()
    return kept
