"""Which names each view's kernel keeps without asking, and what file each means.

A directory is whatever stands for it in all views (hashable), a node its number in one view. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["Grants"]

_Grant = tuple[object, ...]
"""Key of the file that the name means, and the nodes of the directory in the views that keep it: one tuple, for there
are as many as names."""


class Grants:
    """A table of names, in the order in which their directories were last added to."""

    def __init__(self) -> None:
        self._names: OrderedDict[Hashable, dict[bytes, _Grant]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, directory: Hashable, name: bytes, key: object, node: int) -> tuple[int, ...]:
        """Note that a view keeps a name; return the nodes of those that kept it for another file, which are gone."""
        names = self._names.get(directory)
        if names is None:
            names = self._names[directory] = {}
        else:
            self._names.move_to_end(directory)
        known = names.get(name)
        if known is None:
            names[name] = (key, node)
            self._count += 1
        elif known[0] != key:
            names[name] = (key, node)
            return tuple([other for other in _nodes(known) if other != node])
        elif node not in known[1:]:
            names[name] = (*known, node)
        return ()

    def nodes(self, directory: Hashable, name: bytes) -> tuple[int, ...]:
        """Return the nodes of the views that keep a name."""
        names = self._names.get(directory)
        grant = names.get(name) if names is not None else None
        return _nodes(grant) if grant is not None else ()

    def key(self, directory: Hashable, name: bytes, node: int | None = None) -> object:
        """Return the key of the file that views keep a name for, or the one with a node; None if it is not kept."""
        names = self._names.get(directory)
        grant = names.get(name) if names is not None else None
        return grant[0] if grant is not None and (node is None or node in grant[1:]) else None

    def remove(self, directory: Hashable, name: bytes) -> tuple[int, ...]:
        """Note that no view keeps a name; return the nodes of those that did."""
        names = self._names.get(directory)
        grant = names.pop(name, None) if names is not None else None
        if grant is None:
            return ()
        self._count -= 1
        if not names:
            del self._names[directory]
        return _nodes(grant)

    def remove_from(self, directory: Hashable, name: bytes, node: int) -> None:
        """Note that one view does not keep a name."""
        names = self._names.get(directory)
        grant = names.get(name) if names is not None else None
        if names is None or grant is None or node not in grant[1:]:
            return
        left = tuple([other for other in _nodes(grant) if other != node])
        if left:
            names[name] = (grant[0], *left)
        else:
            self.remove(directory, name)

    def remove_all(self, directory: Hashable) -> list[tuple[bytes, tuple[int, ...]]]:
        """Note that no view keeps any name of a directory; return the names and the nodes of those that did."""
        names = self._names.pop(directory, {})
        self._count -= len(names)
        return [(name, _nodes(grant)) for name, grant in names.items()]

    def oldest(self) -> tuple[Hashable, bytes]:
        """Return the directory that was added to longest ago, and its first name; there must be one."""
        directory = next(iter(self._names))
        return directory, next(iter(self._names[directory]))

    def directories(self) -> list[Hashable]:
        """Return the directories in which names are kept."""
        return list(self._names)


def _nodes(grant: _Grant) -> tuple[int, ...]:
    nodes: tuple[int, ...] = grant[1:]  # type: ignore[assignment]
    return nodes
