"""What all operations share: the tables, and the making of answers that give the kernel a node."""

from __future__ import annotations

import errno
import gc
import os
import time
from struct import Struct
from typing import Final

from volfuse.fs.source import MissingSource
from volfuse.fs.view import Attributes, Mount, View
from volfuse.fs.watching import SourceWatcher
from volfuse.sys.statx import Statx
from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.leasing import Leasing
from volfuse.transport.kernel.listings import Listings
from volfuse.transport.kernel.misses import Misses
from volfuse.transport.kernel.mounts import ENDLESS, ENDLESS_NAME, NAME_AND_TICK, MountState, Timeouts
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
from volfuse.transport.kernel.places import OpenDirectories, is_open_on, stale
from volfuse.transport.kernel.publishing import Publisher
from volfuse.transport.kernel.session import Reader, Session
from volfuse.transport.kernel.viewstates import ViewStates
from volfuse.transport.kernel.wire.encoding import encode_attr, encode_entry, reply
from volfuse.transport.kernel.wire.layouts import LAYOUTS
from volfuse.transport.kernel.wire.notifications import inval_attributes
from volfuse.transport.kernel.written import Writers

__all__ = ["Server", "attributes_of"]

_FRESH_NS: Final = 30_000_000
"""Longer than the kernel uses attributes: their timeout of 1 ms, rounded up to two jiffies of at most 10 ms."""
_ALWAYS_FRESH: Final = 1 << 62
_NODE_HEAD: Final = Struct("<QQ24s")
"""struct fuse_entry_out before the attributes: node id, generation, timeouts."""
_ATTR: Final = LAYOUTS["fuse_attr"].struct


class Server:
    """The tables of one session.

    Attributes:
        session: set before the first request.
        minor: protocol version that was agreed.
        feed: where changes of shared sources are published, after they are done and before the reply.
        writers: files of shared sources that are open for writing.
        leasing: what is granted to the kernel.
        misses: opens that came too late.
    """

    def __init__(
        self,
        views: ViewStates,
        handles: Handles,
        open_limit: int,
        watcher: SourceWatcher | None = None,
        no_leases: str = "",
    ) -> None:
        """Make the tables.

        Args:
            watcher: hears what the host does; without one nothing is leased.
            no_leases: why else nothing can be.
        """
        self.views = views
        self._handles = handles
        self.nodes = NodeTable()
        self.directories = OpenDirectories(open_limit)
        self.leasing = Leasing(self.nodes, self.directories, watcher, no_leases)
        self.listings = Listings()
        self.misses = Misses()
        self.feed = Publisher(views.table.changes)
        self.writers = Writers(self.feed, views.table.changes)
        self.session: Session
        self.nodes.add_root(DirectoryNode(ROOT_ID, None, _list_mount(), None, None, None))

    # What a name is. All of these return struct fuse_entry_out and count the lookup.

    def entry_at(self, reader: Reader, parent: DirectoryNode, name: bytes) -> bytes:
        """Look a name up; ENOENT if there is none."""
        if parent.view is None:
            return self._view_root(reader, parent, name)
        own = parent.own
        if own is not None and name in own:
            return self._own_entry(reader, parent, parent.view, name, own[name])
        directory = parent.directory
        if directory is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        holder = self.directories.of(parent, reader.statx)
        version = self.version(parent, directory, holder)
        return self.entry(parent, directory, name, reader.statx.at(holder.fd, name), False, version)

    def entry(
        self,
        parent: DirectoryNode,
        directory: Directory,
        name: bytes,
        found: Statx,
        new: bool = False,
        version: int = -1,
        reader: Reader | None = None,
    ) -> bytes:
        """Answer for a name whose attributes are known.

        Args:
            new: the file was made just now.
            version: see `version`.
            reader: with a look-up, during which the kernel need not have the directory locked.
        """
        mount = parent.mount
        key = mount.key(found)
        node: Node
        if found.mode & 0xF000 == 0x4000:
            node = self._give_directory(parent, directory, name, key, new)
            timeouts = mount.timeouts
        else:
            node = file = self.nodes.give_file(key, mount, directory, name, new)
            timeouts = file.timeouts
        if version >= 0:
            lasts = not new and self._lasts(node, found, version)
            if self.leasing.grant(reader, directory, parent.id, name, mount.name_key(key), version):
                timeouts = ENDLESS if lasts else NAME_AND_TICK
        return encode_entry(node.id, timeouts.entry, mount.inode(found), found.buffer)

    def version(self, parent: DirectoryNode, directory: Directory, holder: Fd | RootFd) -> int:
        """Return by what names in a directory are granted, -1 if they are not; to be called before looking at them."""
        mount = parent.mount
        if not mount.leases or (directory.watch is None and not self.leasing.watch(mount, directory, holder.fd)):
            return -1
        return self.leasing.version()

    def _lasts(self, node: Node, found: Statx | Attributes, version: int) -> bool:
        """Say whether attributes that were seen at a version may be used until the kernel is told otherwise.

        Not those of a file that changes unseen: one that is open for writing may be mapped, one with a second name may
        be changed under that.
        """
        if isinstance(node, DirectoryNode):
            directory = node.directory
            if directory is None or directory.watch is None or not isinstance(found, Statx):
                return False
            stamp = found.changed()
            if stamp != directory.stamp:
                directory.stamp = stamp
                self._drop_others(directory, node.id)  # it may have been the host: the other views have old ones
            return version == self.leasing.version()
        above = node.parent
        if above is None or above.watch is None or not node.timeouts.attr_ns:
            return False
        if not isinstance(found, Statx) or found.links() != 1:
            return False
        node.lasting = True  # before looking whether somebody writes: who begins to looks at this
        return version == self.leasing.version() and not node.is_written()

    def _give_directory(
        self, parent: DirectoryNode, directory: Directory, name: bytes, key: bytes, new: bool, path: bytes | None = None
    ) -> DirectoryNode:
        view, mount = parent.view, parent.mount
        assert view is not None
        node = self.nodes.give_directory(key, mount, directory, name, parent, view, path, new)
        if not mount.private:
            self._noted(node)
        return node

    def _view_root(self, reader: Reader, parent: DirectoryNode, name: bytes) -> bytes:
        view = self.views.table.get(name)
        if view is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        place = view.locate(b"")
        return self._mount_root(reader, parent, view, place.mount, b"", ENDLESS_NAME)

    def _own_entry(self, reader: Reader, parent: DirectoryNode, view: View, name: bytes, mount: Mount | None) -> bytes:
        path = parent.path + b"/" + name if parent.path else name
        if mount is not None:
            return self._mount_root(reader, parent, view, mount, path, parent.mount.timeouts)
        timeouts = parent.mount.timeouts.entry
        if parent.directory is not None:
            holder = self.directories.of(parent, reader.statx)
            try:
                found = reader.statx.at(holder.fd, name)
            except OSError as exc:
                if exc.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
            else:
                if found.is_directory:
                    key = parent.mount.key(found)
                    node = self._give_directory(parent, parent.directory, name, key, False, path)
                    return encode_entry(node.id, timeouts, parent.mount.inode(found), found.buffer)
        node = self.nodes.give_view_directory(parent.mount, parent, view, path)
        return _NODE_HEAD.pack(node.id, 0, timeouts) + _ATTR.pack(*attributes_of(view.synthetic(path)))

    def _mount_root(
        self, reader: Reader, parent: DirectoryNode, view: View, mount: Mount, path: bytes, name_timeouts: Timeouts
    ) -> bytes:
        state = self.views.mount(view, mount)
        found = reader.statx.at(mount.source.fd, b"")
        key = state.key(found)
        if found.is_directory:
            node = self.nodes.give_directory(key, state, None, b"", parent, view, path)
            assert node.directory is not None
            _pin(node.directory, state)
            if not state.private:
                self._noted(node)
            timeouts = state.timeouts.with_name_of(name_timeouts)
            return encode_entry(node.id, timeouts.entry, state.inode(found), found.buffer)
        # The bind of a file: its "directory" is what holds its descriptor.
        file = self.nodes.give_file(key, state, _pin(Directory(key, None, b""), state), b"")
        timeouts = file.timeouts.with_name_of(name_timeouts)
        return encode_entry(file.id, timeouts.entry, state.inode(found), found.buffer)

    def _noted(self, node: DirectoryNode) -> None:
        """Remember that the kernel is given attributes of a node of a shared directory."""
        directory = node.directory
        assert directory is not None
        directory.fresh[node.id] = time.monotonic_ns() + (0 if directory.watch is None else _ALWAYS_FRESH)

    def forget(self, number: int, count: int) -> None:
        """Take lookups of a node back; with the last one goes what is open of it."""
        node = self.nodes.forget(number, count)
        if node is None:
            return
        if isinstance(node, File):
            if node.opened is not None:
                self._handles.forget(node)
            if node.parent is not None and node.parent.leased:
                self.leasing.forgotten(node)
            return
        directory = node.directory
        if directory is None:
            return
        if directory.parent is not None and directory.parent.leased:
            self.leasing.forgotten(node)
        if not directory.nodes:
            self.directories.release(directory)
            if directory.leased:
                self.leasing.dropped(directory)

    def tidy(self) -> bool:
        """Close what nobody has used lately and give memory back; say whether there will be more to close."""
        if self.nodes.emptied:
            self.nodes.emptied = False
            # A few objects from among many that are gone keep the memory of all: those of listings, and those that the
            # interpreter keeps to use again, which a collection lets go.
            self.listings.clear()
            gc.collect()
        missing = self.misses.tidy()
        return self._handles.expire() or missing

    # Attributes.

    def getattr(self, reader: Reader, node: Node) -> Statx | Attributes:
        """Return what statx says of a node, or the attributes of a directory that only the view has."""
        if isinstance(node, File):
            return self.stat_file(reader, node)
        if node.directory is None:
            return self.views.table.attributes() if node.view is None else node.view.synthetic(node.path or b"")
        holder = self.directories.of(node, reader.statx)
        self.version(node, node.directory, holder)
        found = reader.statx.at(holder.fd, b"")
        if not node.mount.private:
            self._noted(node)
        return found

    def stat_file(self, reader: Reader, node: File) -> Statx:
        """Return what statx says of a file: through an open handle, else where it was seen last.

        Raises:
            OSError: ESTALE if another file is there now, or none.
        """
        opened = node.opened
        if opened is not None and is_open_on(opened.any_fd(), node, reader.statx):
            return reader.statx
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

    def pin(self, reader: Reader, node: File) -> Fd:
        """Open a file without following or reading it: see `OpenDirectories.pin`.

        A thread that came too late before finds the file that it has looked up since: see `Misses`.
        """
        try:
            return self.directories.pin(node, reader.statx)
        except OSError as exc:
            if exc.errno != errno.ESTALE:
                raise
            held = self.misses.take(reader.pid, node.key)
            if held is None:
                self.misses.missed(reader.pid)
                raise
            reader.statx.at(held.fd, b"")
            return held

    def attr_reply(self, reader: Reader, node: Node, changed: bool = False) -> bytes:
        """Return the reply that holds a node's attributes as they are now.

        Args:
            changed: it answers their change, whose reply kernels before 6.16 take in also if they have been told to ask
                again meanwhile (fs/fuse/dir.c, fuse_do_setattr).
        """
        version = -1 if changed else self.leasing.version()
        found = self.getattr(reader, node)
        timeouts = self.attr_timeouts(node, found, version)
        if isinstance(found, Statx):
            return reply(reader.unique, timeouts.attr + encode_attr(node.mount.inode(found), found.buffer))
        return reply(reader.unique, timeouts.attr + _ATTR.pack(*attributes_of(found)))

    def attr_timeouts(self, node: Node, found: Statx | Attributes, version: int) -> Timeouts:
        """Return how long attributes may be used that were seen at a version of the leases."""
        if node.mount.leases and self._lasts(node, found, version):
            return ENDLESS
        return node.timeouts if node.__class__ is File else node.mount.timeouts

    # Changes.

    def changed(self, directory: Directory | None, by: int) -> None:
        """Tell the kernel that a directory has changed, for the views other than the one that changed it.

        Only attributes are dropped, which takes no lock in the kernel, so it happens before the reply: once the caller
        goes on, no view has old ones. Views that got them long ago have let go of them already.
        """
        if directory is None or not directory.fresh:
            return
        if directory.leased:
            self.leasing.attributes_changed()
            self._drop_others(directory, 0)  # the caller's too: another program may be about to get old ones there
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
                self.session.notify(inval_attributes(number))

    def _drop_others(self, directory: Directory, own: int) -> None:
        """Drop the attributes of a directory's nodes but one."""
        for number in list(directory.fresh):
            if number != own:
                self.leasing.drop_fresh(directory, number)

    def holder(self, reader: Reader, node: DirectoryNode) -> Fd | RootFd:
        """Return the descriptor of a directory, to change something in it."""
        return self.directories.of(node, reader.statx)


def _pin(root: Directory, state: MountState) -> Directory:
    """Let the root of a mount's source be open for as long as it is known."""
    if not root.pinned:
        assert not isinstance(state.source, MissingSource)
        root.pinned = True
        root.holder = RootFd(state.source)
    state.root = root
    return root


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
    return MountState(Mount(b"", nothing, private=True), file_system=0)
