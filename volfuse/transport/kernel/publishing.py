"""Publishing what was done through views, while the request that did it is being served.

Everything is asked for here that may be otherwise a moment later: the path, and the name of the program. Private trees
are nobody else's business.

A file's node is shared by all views, and the kernel does not say through which one it is used. But a path is looked up
just before, on the same thread of the same program, and that look-up names the directory in one view: `looked`.
"""

from __future__ import annotations

import time
from typing import Final

from volfuse.core.feed import ChangeKind
from volfuse.fs.changelog import ChangeLog
from volfuse.transport.kernel.mounts import MountState
from volfuse.transport.kernel.nodes import Directory, DirectoryNode, File, Node
from volfuse.transport.programs import Asker, Programs

__all__ = ["Publisher"]

_RENAME: Final = ChangeKind.RENAME
_now_ns = time.time_ns


class Publisher:
    """Appends to the change log of the views.

    Attributes:
        looked: directory node of the last look-up, by thread id.
        asked: ids of threads that have looked something up or opened it; who wants them puts an empty set here.
    """

    def __init__(self, log: ChangeLog) -> None:
        self._log = log
        self._programs = Programs()
        self.looked: dict[int, DirectoryNode] = {}
        self.asked: set[int] = set()

    def forget_views(self) -> None:
        """Let go of the directories of views that are no longer shown: they keep their sources open."""
        for thread, node in list(self.looked.items()):
            if node.mount.gone:
                self.looked.pop(thread, None)

    # The next two are the most frequent, and each in one piece: a call costs as much as half of all that they do.

    def entry(self, asker: Asker, kind: ChangeKind, parent: DirectoryNode, name: bytes, detail: bytes = b"") -> None:
        """Publish that a name was made in a directory, or removed."""
        mount = parent.mount
        if mount.private or (directory := parent.directory) is None:
            return
        now_ns, thread = _now_ns(), asker.pid
        program = self._programs.known.get(thread)
        if program is None or program[0] < now_ns:
            program = self._programs.look_at(thread, now_ns)
        key, root = directory.key, mount.root
        while directory is not root and (above := directory.parent) is not None:
            name = directory.name + b"/" + name
            directory = above
        log, uid, gid = self._log, asker.uid, asker.gid
        log.append(
            (now_ns, kind, mount.through, key, name, b"", None, uid, gid, program[1], program[2], -1, -1, detail)
        )
        if log.asleep:
            log.wake()

    def moved(
        self, asker: Asker, old: DirectoryNode, name: bytes, new: DirectoryNode, new_name: bytes, detail: bytes
    ) -> None:
        """Publish that a name was given another, or that two were swapped."""
        mount = old.mount
        if mount.private or (directory := old.directory) is None or (new_directory := new.directory) is None:
            return
        now_ns, thread = _now_ns(), asker.pid
        program = self._programs.known.get(thread)
        if program is None or program[0] < now_ns:
            program = self._programs.look_at(thread, now_ns)
        key, new_key, root = directory.key, new_directory.key, mount.root
        while directory is not root and (above := directory.parent) is not None:
            name = directory.name + b"/" + name
            directory = above
        while new_directory is not root and (above := new_directory.parent) is not None:
            new_name = new_directory.name + b"/" + new_name
            new_directory = above
        log, uid, gid = self._log, asker.uid, asker.gid
        log.append(
            (
                now_ns, _RENAME, mount.through, key, name, new_key, new_name, uid, gid, program[1], program[2], -1, -1,
                detail,
            )
        )  # fmt: skip
        if log.asleep:
            log.wake()

    def node(self, asker: Asker, kind: ChangeKind, node: Node, detail: bytes = b"") -> None:
        """Publish that a file or directory itself was changed."""
        if node.mount.private:
            return
        if isinstance(node, File):
            self.file(asker, kind, node, self.mount_of(asker, node), -1, -1, detail)
            return
        mount, directory = node.mount, node.directory
        assert directory is not None
        parent = directory.parent
        if parent is None or directory is mount.root:
            self._publish(asker, kind, mount, directory, b"", -1, -1, detail)
        else:
            self._publish(asker, kind, mount, parent, directory.name, -1, -1, detail)

    def file(
        self,
        asker: Asker,
        kind: ChangeKind,
        node: File,
        mount: MountState,
        written: int,
        size: int,
        detail: bytes = b"",
    ) -> None:
        """Publish that a file was changed through a mount. One without a name is nobody's business either."""
        directory = node.parent
        if not mount.private and directory is not None:
            self._publish(asker, kind, mount, directory, node.name, written, size, detail)

    def mount_of(self, asker: Asker, node: File) -> MountState:
        """Return the mount through which the caller uses a file."""
        looked = self.looked.get(asker.pid)
        if looked is not None and looked.directory is node.parent:
            return looked.mount
        return node.mount

    def _publish(
        self,
        asker: Asker,
        kind: ChangeKind,
        mount: MountState,
        directory: Directory | None,
        name: bytes,
        written: int,
        size: int,
        detail: bytes,
    ) -> None:
        now_ns, thread = _now_ns(), asker.pid
        program = self._programs.known.get(thread)
        if program is None or program[0] < now_ns:
            program = self._programs.look_at(thread, now_ns)
        _, pid, command = program
        uid, gid = asker.uid, asker.gid
        key = directory.key if directory is not None else b""
        path = path_of(mount, directory, name)
        log = self._log
        log.append((now_ns, kind, mount.through, key, path, b"", None, uid, gid, pid, command, written, size, detail))
        if log.asleep:
            log.wake()


def path_of(mount: MountState, directory: Directory | None, name: bytes) -> bytes:
    """Return the path below a mount of a name in one of its directories."""
    root = mount.root
    path = name
    while directory is not None and directory is not root and directory.parent is not None:
        path = directory.name + b"/" + path if path else directory.name
        directory = directory.parent
    return path
