"""Plans: from a step to the commands of the helper, and what their requests will be about."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import Final

from volfuse.fs.openplaces import place_of
from volfuse.sys.statx import Statx
from volfuse.transport.kernel.nodes import Directory, DirectoryNode, File
from volfuse.transport.kernel.replay.answers import Answers, Expected
from volfuse.transport.kernel.replay.hearing import Hearing
from volfuse.transport.kernel.replay.process import Command
from volfuse.transport.kernel.replay.steps import Do, Step
from volfuse.transport.kernel.server import Server

__all__ = ["Plan", "Planner"]

_OPEN: Final = 256
_AGAIN_S: Final = 0.1
"""After which a directory is tried again that could not be opened."""


class Plan:
    """Commands for the helper.

    Attributes:
        about: for each command what its requests are about; None for those that are answered as anybody's.
    """

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.about: list[Expected | None] = []

    def add(self, command: Command, about: Expected | None = None) -> None:
        """Add a command."""
        self.commands.append(command)
        self.about.append(about)


class Planner:
    """Plans steps. For one thread.

    Args:
        mountpoint: absolute, without links.
    """

    def __init__(self, server: Server, hearing: Hearing, answers: Answers, mountpoint: bytes) -> None:
        self._server = server
        self._hearing = hearing
        self._answers = answers
        self._mountpoint = mountpoint
        self._statx = Statx()
        self._open: OrderedDict[int, DirectoryNode | None] = OrderedDict()  # what the helper has open, by node id
        self._closed: dict[int, float] = {}  # what could not be opened, by node id: until when it is left alone

    def openings(self, step: Step) -> list[Command]:
        """Return commands that open directories of a step which are not open yet; to be run before it is planned."""
        found: list[Command] = []
        for number in (step.node, step.new_node):
            node = self._server.nodes.by_id.get(number)
            if isinstance(node, DirectoryNode) and number not in self._open and not node.mount.gone:
                path = self._path(node) if self._closed.get(number, 0.0) < time.monotonic() else None
                if path is not None:
                    found.append(("open", number, path, number))
        name, number = self._answers.outside
        if number not in self._open:
            found.append(("open", number, self._mountpoint + b"/" + name, number))
        return found

    def opened(self, command: Command, failed: bool) -> None:
        """Hear how a command that opens a directory has ended."""
        number = command[1]
        if failed:
            if len(self._closed) > _OPEN:
                self._closed.clear()
            self._closed[number] = time.monotonic() + _AGAIN_S
        else:
            node = self._server.nodes.by_id.get(number)
            self._open[number] = node if isinstance(node, DirectoryNode) else None

    def add(self, step: Step, plan: Plan) -> None:
        """Add what the helper has to do for a step; nothing in directories that are not open."""
        if step.do is Do.MOVE and step.node not in self._open:
            step = Step(Do.ARRIVE, step.new_node, step.new_name, step.is_directory)
        elif step.do is Do.MOVE and step.new_node not in self._open:
            step = Step(Do.LEAVE, step.node, step.name, step.is_directory)
        nodes = self._server.nodes.by_id
        node, new_node = nodes.get(step.node), nodes.get(step.new_node)
        if step.node not in self._open or not isinstance(node, DirectoryNode):
            return
        self._open.move_to_end(step.node)
        expected = Expected(step.do, node, step.name, step.is_directory)
        if step.do is Do.MOVE and isinstance(new_node, DirectoryNode):
            expected.new_node, expected.new_name = new_node, step.new_name
        expected.known = self._known(step, node, expected.new_node)
        for command, about in _commands(step, expected, self._answers.outside[1]):
            plan.add(command, about)
        if step.do is Do.REMOVE and step.is_directory:
            self._let_go(node, step.name, plan)
        while len(self._open) > _OPEN:
            self._close(next(iter(self._open)), plan)

    def forget(self) -> None:
        """Begin anew, with a helper that has nothing open."""
        self._open.clear()
        self._closed.clear()

    def _close(self, number: int, plan: Plan) -> None:
        del self._open[number]
        plan.add(("close", number))

    def _let_go(self, around: DirectoryNode, name: bytes, plan: Plan) -> None:
        """Close a directory that has been removed: as long as it is open it has not ended for its watchers."""
        for number, node in list(self._open.items()):
            directory = node.directory if node is not None and node.parent is around else None
            if directory is not None and directory.name == name:
                self._close(number, plan)

    def _path(self, node: DirectoryNode) -> bytes | None:
        """Return the path of a view's directory, as it is in the source now; None if there is none any more."""
        directory, mount = node.directory, node.mount
        view = node.view
        shown = next((v for v in self._server.views.table.views() if view and v.container == view.container), None)
        if directory is None or shown is None:
            return None
        holder = directory.holder
        place = place_of(holder.fd, mount.mount.source.fd) if holder is not None else _place(directory)
        if place is None:
            return None
        parts = [os.fsencode(shown.name), mount.mount.destination, place]
        return b"/".join([self._mountpoint, *filter(None, parts)])

    def _known(self, step: Step, node: DirectoryNode, new_node: DirectoryNode | None) -> DirectoryNode | File | None:
        """Return the node that a name is to be, where it must be the one that the kernel has."""
        if step.do is Do.ITSELF:
            return None
        if step.is_directory:
            return self._known_directory(step, node, new_node)
        file = self._server.nodes.by_id.get(step.file)
        if isinstance(file, File):
            return file
        if step.do not in (Do.ATTRIB, Do.MODIFY):
            return None
        # A file that is open keeps its name; unless somebody watches it, who has heard of this already.
        key = self._key(node, step.name)
        file = self._server.nodes.find_file(key) if key is not None else None
        return file if file is not None and file.opened is not None and not self._hearing.is_watched(file) else None

    def _known_directory(self, step: Step, node: DirectoryNode, new_node: DirectoryNode | None) -> DirectoryNode | None:
        places = self._hearing.places
        place, name = (new_node, step.new_name) if new_node is not None else (node, step.name)
        if step.do is Do.ATTRIB:
            return places.get((node.id, name)) or self._directory_at(node, name)
        known = places.pop((node.id, step.name), None)
        if step.do is Do.MOVE:
            known = known or self._directory_at(place, name)
            if known is not None:
                places[place.id, name] = known
        return known if step.do in (Do.MOVE, Do.REMOVE) else None

    def _directory_at(self, node: DirectoryNode, name: bytes) -> DirectoryNode | None:
        key = self._key(node, name)
        found: DirectoryNode | None = node.mount.nodes.get(key) if key is not None else None
        return found

    def _key(self, node: DirectoryNode, name: bytes) -> bytes | None:
        """Return the key of what has a name in the source now."""
        try:
            holder = self._server.directories.of(node, self._statx)
        except OSError:
            return None
        return node.mount.key(self._statx) if self._statx.find(holder.fd, name) == 0 else None


def _place(directory: Directory) -> bytes:
    names = []
    while directory.parent is not None:
        names.append(directory.name)
        directory = directory.parent
    return b"/".join(reversed(names))


def _commands(step: Step, expected: Expected, outside: int) -> list[tuple[Command, Expected]]:
    """Return the helper's commands for a step, and what their requests are about."""
    do, node, name, is_directory = step.do, step.node, step.name, step.is_directory
    match do:
        case Do.MAKE:
            return [(("make", node, name, is_directory), expected)]
        case Do.REMOVE:
            return [(("remove", node, name, is_directory), expected)]
        case Do.MOVE:
            return [(("move", node, name, step.new_node, step.new_name), expected)]
        case Do.LEAVE:
            expected.new_node, expected.new_name = None, name
            there = Expected(Do.REMOVE, None, name, is_directory)
            return [
                (("move", node, name, outside, name), expected),
                (("remove", outside, name, is_directory), there),
            ]
        case Do.ARRIVE:
            here = Expected(Do.MOVE, None, name, is_directory, expected.node, name)
            return [(("move", outside, name, node, name), here)]
        case Do.ATTRIB:
            return [(("attrib", node, name), expected)]
        case Do.MODIFY:
            return [(("modify", node, name), expected)]
        case Do.ITSELF:
            return [(("itself", node), expected)]
    new = do in (Do.MAKE_CLOSE, Do.MAKE_MODIFY_CLOSE)
    modify = do in (Do.MODIFY_CLOSE, Do.MAKE_MODIFY_CLOSE)
    return [(("write", node, name, new, modify), expected)]
