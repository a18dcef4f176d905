"""What all operations share: the tables, and the making of answers that give the kernel a node."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Final

from volfuse.fs.source import MissingSource
from volfuse.fs.view import Attributes, Mount, View
from volfuse.sys.statx import StatxFields
from volfuse.transport.kernel.mounts import ENDLESS_S, MountState
from volfuse.transport.kernel.nodes import (
    ROOT_ID,
    Directory,
    DirectoryNode,
    Fd,
    File,
    Node,
    NodeTable,
    RootFd,
)
from volfuse.transport.kernel.places import OpenDirectories, stale
from volfuse.transport.kernel.session import Reader, Session
from volfuse.transport.kernel.viewstates import ViewStates
from volfuse.transport.kernel.wire.notifications import inval_attributes
from volfuse.transport.kernel.wire.replies import ATTR_REPLY, ENTRY_REPLY, NO_ENTRY_ATTR, encode_device

__all__ = ["EntryFields", "Server"]

EntryFields = tuple[int, ...]
"""The 22 fields of fuse_entry_out."""

_ENTRY_BYTES: Final = ENTRY_REPLY.size
_ATTR_BYTES: Final = ATTR_REPLY.size
_FRESH_NS: Final = 30_000_000
"""Longer than the kernel uses attributes: their timeout of 1 ms, rounded up to two jiffies of at most 10 ms."""


class Server:
    """The tables of one session.

    Attributes:
        session: set before the first request.
        minor: protocol version that was agreed.
    """

    def __init__(self, views: ViewStates, open_limit: int) -> None:
        self.views = views
        self.nodes = NodeTable()
        self.directories = OpenDirectories(open_limit)
        self.session: Session
        self.nodes.add_root(DirectoryNode(ROOT_ID, None, _list_mount(), None, None, None))

    # What a name is.

    def entry_at(self, reader: Reader, parent: DirectoryNode, name: bytes) -> EntryFields:
        """Look a name up and count the lookup; ENOENT if there is none."""
        if parent.view is None:
            return self._view_root(reader, parent, name)
        own = parent.own
        if own is not None and name in own:
            return self._own_entry(reader, parent, parent.view, name, own[name])
        directory = parent.directory
        if directory is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        holder = self.directories.of(parent, reader.statx)
        return self.entry(parent, directory, name, reader.statx.at(holder.fd, name))

    def entry(
        self, parent: DirectoryNode, directory: Directory, name: bytes, found: StatxFields, new: bool = False
    ) -> EntryFields:
        """Return the answer for a name whose attributes are known, and count the lookup.

        Args:
            new: the file was made just now.
        """
        mount = parent.mount
        key = mount.key(found)
        if found[6] & 0xF000 == 0x4000:
            number = self._give_directory(parent, directory, name, key, new).id
            entry_s, attr_s, entry_ns, attr_ns = mount.timeouts
        else:
            number = self.nodes.give_file(key, mount, directory, name, new)
            entry_s, attr_s, entry_ns, attr_ns = mount.file_timeouts
        (
            _, blksize, _, nlink, uid, gid, mode, inode, size, blocks, _, atime, atime_ns, _, _, ctime, ctime_ns,
            mtime, mtime_ns, rdev_major, rdev_minor, major, minor,
        ) = found  # fmt: skip
        return (
            number, 0, entry_s, attr_s, entry_ns, attr_ns,
            inode if mount.plain and mount.device == (major, minor) else mount.inode(major, minor, inode),
            size, blocks, atime, mtime, ctime, atime_ns, mtime_ns, ctime_ns, mode, nlink, uid, gid,
            encode_device(rdev_major, rdev_minor) if rdev_major or rdev_minor else 0, blksize, 0,
        )  # fmt: skip

    def _give_directory(
        self, parent: DirectoryNode, directory: Directory, name: bytes, key: int, new: bool, path: bytes | None = None
    ) -> DirectoryNode:
        view = parent.view
        assert view is not None
        child = self.nodes.directory(key, directory, name, new)
        node = self.nodes.give_directory_node(view.container, parent.mount, child, parent, view, path)
        if not parent.mount.private:
            child.fresh[node.id] = time.monotonic_ns()
        return node

    def _view_root(self, reader: Reader, parent: DirectoryNode, name: bytes) -> EntryFields:
        view = self.views.table.get(name)
        if view is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        place = view.locate(b"")
        return self._mount_root(reader, parent, view, place.mount, b"", (ENDLESS_S, 0, 0, 0))

    def _own_entry(
        self, reader: Reader, parent: DirectoryNode, view: View, name: bytes, mount: Mount | None
    ) -> EntryFields:
        path = parent.path + b"/" + name if parent.path else name
        if mount is not None:
            return self._mount_root(reader, parent, view, mount, path, parent.mount.timeouts)
        if parent.directory is not None:
            holder = self.directories.of(parent, reader.statx)
            try:
                found = reader.statx.at(holder.fd, name)
            except OSError as exc:
                if exc.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
            else:
                if stat.S_ISDIR(found[6]):
                    key = parent.mount.key(found)
                    node = self._give_directory(parent, parent.directory, name, key, False, path)
                    return (node.id, 0, *parent.mount.timeouts, *attributes(parent.mount, found))
        node = self.nodes.give_directory_node(view.container, parent.mount, None, parent, view, path)
        return (node.id, 0, *parent.mount.timeouts, *attributes_of(view.synthetic(path)))

    def _mount_root(
        self,
        reader: Reader,
        parent: DirectoryNode,
        view: View,
        mount: Mount,
        path: bytes,
        name_timeouts: tuple[int, int, int, int],
    ) -> EntryFields:
        state = self.views.mount(view, mount)
        found = reader.statx.at(mount.source.fd, b"")
        key = state.key(found)
        root = self.mount_directory(state, key)
        entry_s, _, entry_ns, _ = name_timeouts
        _, attr_s, _, attr_ns = state.timeouts
        timeouts = (entry_s, attr_s, entry_ns, attr_ns)
        if stat.S_ISDIR(found[6]):
            node = self.nodes.give_directory_node(view.container, state, root, parent, view, path)
            if not state.private:
                root.fresh[node.id] = time.monotonic_ns()
        else:
            return (self.nodes.give_file(key, state, root, b""), 0, *timeouts, *attributes(state, found))
        return (node.id, 0, *timeouts, *attributes(state, found))

    def mount_directory(self, state: MountState, key: int) -> Directory:
        """Return the root of a mount's source; for the bind of a file, what holds its descriptor."""
        root = self.nodes.directory(key, None, b"")
        if not root.pinned:
            assert not isinstance(state.source, MissingSource)
            root.pinned = True
            root.holder = RootFd(state.source)
        return root

    # Attributes.

    def getattr(self, reader: Reader, node: Node) -> tuple[StatxFields | None, Attributes | None, MountState]:
        """Return what statx says of a node, or the attributes of a directory that only the view has."""
        if isinstance(node, File):
            return self.stat_file(reader, node), None, node.mount
        if node.directory is None:
            if node.view is None:
                return None, self.views.table.attributes(), node.mount
            return None, node.view.synthetic(node.path or b""), node.mount
        holder = self.directories.of(node, reader.statx)
        found = reader.statx.at(holder.fd, b"")
        if not node.mount.private:
            node.directory.fresh[node.id] = time.monotonic_ns()
        return found, None, node.mount

    def stat_file(self, reader: Reader, node: File) -> StatxFields:
        """Return what statx says of a file: through an open handle, else where it was seen last.

        Raises:
            OSError: ESTALE if another file is there now, or none.
        """
        opened = node.opened
        if opened is not None:
            for fd in opened.handles.values():
                return reader.statx.at(fd, b"")
        holder = self.directories.around(node, reader.statx)
        try:
            found = reader.statx.at(holder.fd, node.name)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTDIR):
                raise stale() from exc
            raise
        if node.mount.key(found) != node.key:
            raise stale()
        return found

    def attr_reply(self, reader: Reader, unique: int, node: Node) -> bytes:
        """Return the reply that holds a node's attributes as they are now."""
        found, synthetic, mount = self.getattr(reader, node)
        _, seconds, _, nanoseconds = mount.file_timeouts if node.__class__ is File else mount.timeouts
        if found is None:
            assert synthetic is not None
            return ATTR_REPLY.pack(_ATTR_BYTES, 0, unique, seconds, nanoseconds, *attributes_of(synthetic))
        return ATTR_REPLY.pack(_ATTR_BYTES, 0, unique, seconds, nanoseconds, *attributes(mount, found))

    # Changes.

    def changed(self, directory: Directory | None, by: int) -> None:
        """Tell the kernel that a directory has changed, for the views other than the one that changed it.

        Only attributes are dropped, which takes no lock in the kernel, so it happens before the reply: once the caller
        goes on, no view has old ones. Views that got them long ago have let go of them already.
        """
        if directory is None or not directory.fresh:
            return
        fresh = directory.fresh
        if len(fresh) == 1 and by in fresh:
            return
        oldest = time.monotonic_ns() - _FRESH_NS
        for number, given in list(fresh.items()):
            if number == by:
                continue
            fresh.pop(number, None)
            if given > oldest:
                self.invalidate(inval_attributes(number))

    def invalidate(self, message: bytes) -> None:
        """Send a notification about something that the kernel may not hold any more."""
        try:
            self.session.send(message)
        except OSError as exc:
            if exc.errno not in (errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.ECONNABORTED):
                raise

    def holder(self, reader: Reader, node: DirectoryNode) -> Fd | RootFd:
        """Return the descriptor of a directory, to change something in it."""
        return self.directories.of(node, reader.statx)


def entry_reply(unique: int, entry: EntryFields) -> bytes:
    """Return the reply to LOOKUP and to what makes a name."""
    return ENTRY_REPLY.pack(_ENTRY_BYTES, 0, unique, *entry)


def absent_reply(unique: int) -> bytes:
    """Return the reply that there is no such name, for the kernel to remember."""
    return ENTRY_REPLY.pack(_ENTRY_BYTES, 0, unique, 0, 0, ENDLESS_S, 0, 0, 0, *NO_ENTRY_ATTR)


def attributes(mount: MountState, found: StatxFields) -> tuple[int, ...]:
    """Return the fields of fuse_attr."""
    (
        _, blksize, _, nlink, uid, gid, mode, inode, size, blocks, _, atime, atime_ns, _, _, ctime, ctime_ns,
        mtime, mtime_ns, rdev_major, rdev_minor, major, minor,
    ) = found  # fmt: skip
    return (
        mount.inode(major, minor, inode), size, blocks, atime, mtime, ctime, atime_ns, mtime_ns, ctime_ns, mode, nlink,
        uid, gid, encode_device(rdev_major, rdev_minor) if rdev_major or rdev_minor else 0, blksize, 0,
    )  # fmt: skip


def attributes_of(found: Attributes) -> tuple[int, ...]:
    """Return the fields of fuse_attr for a directory that only a view has."""
    status = found.status
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    return (
        found.inode, status.st_size, status.st_blocks, *(ns // 10**9 for ns in times), *(ns % 10**9 for ns in times),
        status.st_mode, status.st_nlink, status.st_uid, status.st_gid, 0, status.st_blksize, 0,
    )  # fmt: skip


def _list_mount() -> MountState:
    """Return the state of the list of views itself, which has no source."""
    nothing = MissingSource(b"", OSError(errno.ENOENT, os.strerror(errno.ENOENT)))
    return MountState(Mount(b"", nothing, private=True), exact=True, overlay=False)
