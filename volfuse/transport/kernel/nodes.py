"""Nodes: what the kernel holds, by node id.

Two kinds of object lie behind them. A `Directory` is a directory of a source, one however many views show it; it knows
its place there (directory above and name) and, for a while, a descriptor. A `File` is anything else in a source, and
its own node: all views share it. A `DirectoryNode` is a directory as one view shows it, since the kernel lets a
directory have only one name.

Files and directories are found again by their *key*: inode, birth time as the generation, device and type
(`MountState.key`). A file that took over a deleted one's inode number has another key.
Memory matters: a node stays below 500 bytes.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping
from typing import Final

from volfuse.fs.descriptors import Caller
from volfuse.fs.source import Source
from volfuse.fs.view import Mount, View
from volfuse.fs.watching import Watch
from volfuse.transport.kernel.mounts import MountState, Timeouts

__all__ = ["ROOT_ID", "Directory", "DirectoryNode", "Fd", "File", "Node", "NodeTable", "OpenFile"]

ROOT_ID: Final = 1
_FEW: Final = 4096
_SPARSE: Final = 8


class Fd:
    """A descriptor that is closed with the last reference: who uses one keeps a reference, so eviction cannot hurt."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class RootFd:
    """The descriptor of a source's root, which the source closes."""

    __slots__ = ("fd", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.fd = source.fd


class Directory:
    """A directory of a source.

    Attributes:
        parent: directory above; None for a source's root.
        holder: its descriptor while it is open.
        pinned: the holder is a source's root and is not evicted.
        used: since the last look of the evictor.
        fresh: node ids of the views that got its attributes lately, with the time (monotonic, ns).
        nodes: how many views show it.
        watch: what tells of the host's changes; None if nothing does, and then names and attributes are not granted.
        leased: names have been granted in it.
        stamp: `Statx.changed` of the last attributes that the kernel was given to keep.
    """

    __slots__ = ("fresh", "holder", "key", "leased", "name", "nodes", "parent", "pinned", "stamp", "used", "watch")

    def __init__(self, key: bytes, parent: Directory | None, name: bytes) -> None:
        self.key = key
        self.parent = parent
        self.name = name
        self.holder: Fd | RootFd | None = None
        self.pinned = False
        self.used = False
        self.fresh: dict[int, int] = {}
        self.nodes = 0  # guarded by NodeTable.lock
        self.watch: Watch | None = None  # guarded by Leasing._lock
        self.leased = False
        self.stamp = b""


class Handle:
    """One file that a program has open.

    Attributes:
        number: what the kernel calls it.
        flags: of open(2).
        fd: in the source.
        shared: the descriptor is `OpenFile.fd`, which others use too.
        opener: who opened a file of a shared source for writing; None for all else.
        mount: through which.
    """

    __slots__ = ("fd", "flags", "mount", "node", "number", "opener", "shared")

    def __init__(self, number: int, node: File, flags: int, fd: int, shared: bool) -> None:
        self.number = number
        self.node = node
        self.flags = flags
        self.fd = fd
        self.shared = shared
        self.opener: Caller | None = None
        self.mount = node.mount

    @property
    def identity(self) -> bytes:
        """What tells the file from all others."""
        return self.node.key

    @property
    def readonly(self) -> bool:
        """Whether it is shown on a read-only mount."""
        return self.node.mount.readonly

    @property
    def writes(self) -> bool:
        """Whether it is open for writing."""
        return self.flags & os.O_ACCMODE != os.O_RDONLY


class OpenFile:
    """What a file has while it is open, and for a moment after: see `Handles`.

    Attributes:
        fd: open for reading, for all handles that only read; -1 if there is none.
        backing: id registered with the kernel; 0 without.
        handles: by number.
        content: what `written.Writers` has seen of the file last.
    """

    __slots__ = ("backing", "content", "fd", "handles")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.backing = 0
        self.handles: dict[int, Handle] = {}
        self.content = b""

    def any_fd(self) -> int:
        """Return a descriptor of the file, whatever it is open for; -1 if it is being closed."""
        if self.fd >= 0:
            return self.fd
        for handle in self.handles.values():
            return handle.fd
        return -1


class File:
    """A node that is no directory, shared by all views.

    Attributes:
        parent: where it was seen last; None if it has no name (O_TMPFILE).
        mount: through which it was seen last.
        timeouts: the shortest of all mounts that have shown it, since the kernel keeps its attributes once for all.
        opened: while handles are open, and for a moment after. Guarded by the table of handles.
        lasting: the kernel may have attributes of it that it does not ask for again by itself.
        mappable: it was open for reading and writing: it may be mapped still, which is seen by nobody.
    """

    __slots__ = ("id", "key", "lasting", "mappable", "mount", "name", "nlookup", "opened", "parent", "timeouts")

    def __init__(self, number: int, key: bytes, mount: MountState, parent: Directory | None, name: bytes) -> None:
        self.id = number
        self.key = key
        self.mount = mount
        self.timeouts: Timeouts = mount.file_timeouts
        self.parent = parent
        self.name = name
        self.nlookup = 0  # guarded by NodeTable.lock
        self.opened: OpenFile | None = None
        self.lasting = False
        self.mappable = False

    def is_written(self) -> bool:
        """Whether a program has it open for writing, or mapped."""
        if self.mappable:
            return True
        opened = self.opened
        return opened is not None and any(handle.writes for handle in list(opened.handles.values()))


class DirectoryNode:
    """A directory in one view.

    Attributes:
        directory: None for one that only the view has, to lead to a mount point.
        path: in the view, for the view's root and directories that hold mount points; None elsewhere.
        own: names that the view puts into it.
        parent: node above, None for a view's root.
        view: None for the list of views.
    """

    __slots__ = ("directory", "id", "mount", "nlookup", "own", "parent", "path", "view")

    def __init__(
        self,
        number: int,
        view: View | None,
        mount: MountState,
        directory: Directory | None,
        parent: DirectoryNode | None,
        path: bytes | None,
    ) -> None:
        self.id = number
        self.view = view
        self.mount = mount
        self.directory = directory
        self.parent = parent
        self.path = path
        self.own: Mapping[bytes, Mount | None] | None = (
            view.covered.get(path) if view is not None and path is not None else None
        )
        self.nlookup = 0  # guarded by NodeTable.lock


Node = File | DirectoryNode


class NodeTable:
    """All nodes that the kernel holds, and the directories behind them.

    `lock` is taken for every change of a table or of nlookup, and for nothing else; no system call is made under it.

    Attributes:
        emptied: most of many nodes were forgotten; whoever gives the memory back resets it.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.by_id: dict[int, Node] = {}
        self._files: dict[bytes, File] = {}  # guarded by self.lock
        self._directories: dict[bytes, Directory] = {}  # those that a view shows; guarded by self.lock
        self._next = ROOT_ID + 1  # guarded by self.lock
        self.emptied = False
        self._most = _FEW  # nodes since the tables were made; guarded by self.lock

    def __len__(self) -> int:
        return len(self.by_id)

    def node(self, number: int) -> Node:
        """Return a node; ESTALE for one that was never given out or has been forgotten."""
        try:
            return self.by_id[number]
        except KeyError:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE)) from None

    def directory_node(self, number: int) -> DirectoryNode:
        """Return the node of a directory; ENOTDIR for another."""
        node = self.node(number)
        if node.__class__ is DirectoryNode:
            return node
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))

    def file(self, number: int) -> File:
        """Return the node of anything but a directory; EISDIR for a directory."""
        node = self.node(number)
        if node.__class__ is File:
            return node
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))

    def give_file(
        self, key: bytes, mount: MountState, parent: Directory | None, name: bytes, new: bool = False
    ) -> File:
        """Return the node of a file seen at a place, its nlookup counted up.

        Args:
            new: the file was made just now, so a node with its key is that of a deleted file.
        """
        lock = self.lock
        lock.acquire()
        try:
            node = self._files.get(key)
            if node is None or new:
                number = self._next
                self._next = number + 1
                self._files[key] = self.by_id[number] = node = File(number, key, mount, parent, name)
            elif node.parent is not parent or node.name != name:
                node.parent = parent
                node.name = name
            node.mount = mount
            if mount.file_timeouts.attr_ns < node.timeouts.attr_ns:
                node.timeouts = mount.file_timeouts
            node.nlookup += 1
            return node
        finally:
            lock.release()

    def reserve(self) -> int:
        """Return a node id that no node gets."""
        with self.lock:
            number = self._next
            self._next += 1
            return number

    def count(self, node: Node) -> bool:
        """Count a lookup of a node that the kernel holds; false if it holds it no more."""
        with self.lock:
            known = self.by_id.get(node.id) is node
            if known:
                node.nlookup += 1
            return known

    def find_file(self, key: bytes) -> File | None:
        """Return the node with this key."""
        return self._files.get(key)

    def give_directory(
        self,
        key: bytes,
        mount: MountState,
        place: Directory | None,
        name: bytes,
        parent: DirectoryNode,
        view: View,
        path: bytes | None,
        new: bool = False,
    ) -> DirectoryNode:
        """Return the node that a view has of a directory seen at a place, its nlookup counted up.

        Args:
            place: directory above it in the source; None for the source's root.
            new: the directory was made just now, so what is known by its key is a deleted one.
        """
        with self.lock:
            directory = self._directories.get(key)
            if directory is None or new:
                directory = self._directories[key] = Directory(key, place, name)
            elif place is not None and (directory.parent is not place or directory.name != name):
                directory.parent = place
                directory.name = name
            return self._give(mount, key, directory, parent, view, path)

    def give_view_directory(self, mount: MountState, parent: DirectoryNode, view: View, path: bytes) -> DirectoryNode:
        """Return the node of a directory that only the view has, its nlookup counted up."""
        with self.lock:
            return self._give(mount, os.fsdecode(path), None, parent, view, path)

    def find_directory(self, key: bytes) -> Directory | None:
        """Return the directory with this key, if any view shows it."""
        return self._directories.get(key)

    def add_root(self, node: DirectoryNode) -> None:
        """Enter the node of the list of views, which is never forgotten."""
        node.nlookup = 1
        self.by_id[ROOT_ID] = node

    def forget(self, number: int, count: int) -> Node | None:
        """Take back `count` lookups; with the last the node goes, and is returned: it may have something open."""
        if number == ROOT_ID:
            return None
        with self.lock:
            node = self.by_id.get(number)
            if node is None:
                return None
            if count < node.nlookup:
                node.nlookup -= count
                return None
            self._give_room_back()
            del self.by_id[number]
            if isinstance(node, File):
                if self._files.get(node.key) is node:
                    del self._files[node.key]
            else:
                self._forget_directory(node)
            return node

    def clear(self) -> None:
        """Forget everything, after the kernel has."""
        with self.lock:
            self.by_id.clear()
            self._files.clear()
            self._directories.clear()

    # Called with the lock held.

    def _give_room_back(self) -> None:
        """Make the tables smaller once most is gone of what was in them: a dictionary never does that by itself."""
        size = len(self.by_id)
        if size > self._most:
            self._most = size
        elif self._most > _FEW and size * _SPARSE < self._most:
            self._most = max(size, _FEW)
            self.emptied = True
            self.by_id = dict(self.by_id)
            self._files = dict(self._files)

    def _give(
        self,
        mount: MountState,
        key: bytes | str,
        directory: Directory | None,
        parent: DirectoryNode,
        view: View,
        path: bytes | None,
    ) -> DirectoryNode:
        node: DirectoryNode | None = mount.nodes.get(key)
        if node is None or node.path != path or node.directory is not directory:
            node = DirectoryNode(self._next, view, mount, directory, parent, path)
            self._next += 1
            mount.nodes[key] = self.by_id[node.id] = node
            if directory is not None:
                directory.nodes += 1
        else:
            node.parent = parent
        node.nlookup += 1
        return node

    def _forget_directory(self, node: DirectoryNode) -> None:
        directory = node.directory
        key = directory.key if directory is not None else os.fsdecode(node.path or b"")
        if node.mount.nodes.get(key) is node:
            del node.mount.nodes[key]
        if directory is None:
            return
        directory.fresh.pop(node.id, None)
        directory.nodes -= 1
        if not directory.nodes and self._directories.get(directory.key) is directory:
            del self._directories[directory.key]
