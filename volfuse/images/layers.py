"""Unpacking layers into an image's tree, lowest first.

A name is looked up inside the tree as a container would see it: a link on the way (`bin -> usr/bin`, of a
lower layer) is followed, but never out of the tree, and what is written is opened without following anything. An
existing file is never written to, so a hard link or a symbolic link cannot redirect content.

What a layer names twice is an error, directories excepted; what a lower layer has is replaced. Whiteouts hide what
lower layers have, never what their own layer has, in whatever order its entries come (OCI image-spec, layer.md).

Modes, times and attributes of directories come last, so a directory may forbid writing into it. Without privilege the
tree belongs to the caller: owners are not kept, nor the set-id bits that would change their meaning.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from volfuse.archives.members import Kind, write_content
from volfuse.errors import InvalidSpec
from volfuse.fs.descriptors import self_path
from volfuse.fs.metadata import set_xattr
from volfuse.fs.removetree import remove_tree
from volfuse.fs.unlocked import PATH
from volfuse.images.archive import Entry, Metadata, read_entries, shown, split_name
from volfuse.images.streams import DEFAULT_LIMITS, Limits, TarBytes
from volfuse.images.treepaths import PATH_DIRECTORY, TreePath, TreePaths
from volfuse.sys.owned import owned

__all__ = ["TreeUnpacker"]

_WHITEOUT: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"
_AUFS: Final = b".wh..wh."
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OF_THE_ENTRY = frozenset(
    {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.EINVAL, errno.EMLINK, errno.E2BIG, errno.ERANGE}
)
"""Errors that only the entry can be blamed for; others (ENOSPC, EIO) are the system's."""


class TreeUnpacker:
    """Fills one directory. Used by one thread, and nobody else writes below the directory meanwhile.

    Attributes:
        size: bytes of all regular files unpacked so far.
    """

    def __init__(self, root_fd: int, limits: Limits = DEFAULT_LIMITS) -> None:
        """Take the directory to fill; the descriptor stays the caller's."""
        self.size = 0
        self._paths = TreePaths(root_fd)
        self._limits = limits
        self._entries = 0
        self._privileged = os.geteuid() == 0
        self._directories: dict[TreePath, Metadata] = {}
        self._lower = False  # whether something may be there that this layer did not make
        self._made: set[TreePath] = (
            set()
        )  # what this layer has, with the directories above; kept if there is a lower one

    def unpack(self, layer: TarBytes) -> str:
        """Unpack one layer and return its diff id.

        Raises:
            InvalidSpec: the archive is hostile or broken; the text names the entry.
            OSError: the tree cannot be written.
        """
        try:
            for entry in read_entries(layer):
                self._count(entry)
                self._apply(entry)
            return layer.finish()
        finally:
            self._paths.close_parent()
            self._made.clear()
            self._lower = True

    def finish(self) -> None:
        """Give the directories their metadata, those below first. Call it once, after the last layer."""
        for path in sorted(self._directories, reverse=True):
            try:
                fd = self._paths.open(path, os.O_RDONLY | os.O_DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):  # replaced by a higher layer
                continue
            metadata = self._directories[path]
            try:
                with owned(fd):
                    self._set_metadata(fd, metadata, metadata.mode)
            except OSError as exc:
                raise _blamed(exc, b"/".join(path)) from exc

    def _count(self, entry: Entry) -> None:
        self._entries += 1
        self.size += entry.size
        if self._entries > self._limits.entries:
            raise InvalidSpec(f"archive is too large: more than {self._limits.entries} entries")
        if self.size > self._limits.unpacked_bytes:
            raise InvalidSpec(
                f"archive is too large: more than {self._limits.unpacked_bytes} bytes unpacked, at {entry.name}"
            )

    def _apply(self, entry: Entry) -> None:
        try:
            if not entry.path:
                self._directories[()] = entry.metadata
            elif any(part.startswith(_AUFS) and part != _OPAQUE for part in entry.path):
                return  # bookkeeping of aufs
            elif entry.path[-1].startswith(_WHITEOUT):
                self._whiteout(entry)
            else:
                self._make(entry)
        except OSError as exc:
            raise _blamed(exc, b"/".join(entry.path)) from exc

    # Making entries

    def _make(self, entry: Entry) -> None:
        above, parent_fd = self._paths.open_parent(entry.path[:-1])
        path, name = (*above, entry.path[-1]), entry.path[-1]
        if not self._clear(parent_fd, path, entry):
            match entry.kind:
                case Kind.DIRECTORY:
                    os.mkdir(name, 0o700, dir_fd=parent_fd)
                case Kind.FILE:
                    self._make_file(parent_fd, name, entry)
                case Kind.SYMLINK:
                    os.symlink(entry.member.link, name, dir_fd=parent_fd)
                    self._set_by_path(parent_fd, name, entry)
                case Kind.HARD_LINK:
                    self._make_link(parent_fd, name, entry)
                case Kind.FIFO:
                    os.mkfifo(name, 0o600, dir_fd=parent_fd)
                    self._set_by_path(parent_fd, name, entry)
        if entry.kind is Kind.DIRECTORY:
            self._directories[path] = entry.metadata
        self._note(path)

    def _clear(self, parent_fd: int, path: TreePath, entry: Entry) -> bool:
        """Take away what is in the entry's place; True if it is a directory that the entry means too."""
        try:
            found = os.stat(path[-1], dir_fd=parent_fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(found.st_mode) and entry.kind is Kind.DIRECTORY:
            return True
        if not self._lower or path in self._made:
            raise InvalidSpec(f"invalid archive: entry {entry.name} is there twice")
        self._remove(parent_fd, path)
        return False

    def _make_file(self, parent_fd: int, name: bytes, entry: Entry) -> None:
        with owned(os.open(name, _NEW_FILE, 0o600, dir_fd=parent_fd)) as fd:
            write_content(entry.member, fd)
            self._set_metadata(fd, entry.metadata, self._file_mode(entry.metadata))

    def _make_link(self, parent_fd: int, name: bytes, entry: Entry) -> None:
        target = split_name(entry.member.link)
        if not target:
            raise InvalidSpec(f"invalid archive: entry {entry.name} is a hard link to nothing")
        try:
            with owned(self._paths.open(self._paths.resolve(target[:-1]), PATH_DIRECTORY)) as target_fd:
                found = os.stat(target[-1], dir_fd=target_fd, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    raise InvalidSpec(f"invalid archive: entry {entry.name} is a hard link to a directory")
                os.link(target[-1], name, src_dir_fd=target_fd, dst_dir_fd=parent_fd, follow_symlinks=False)
        except FileNotFoundError as exc:
            raise InvalidSpec(
                f"invalid archive: entry {entry.name} is a hard link to {shown(entry.member.link)}, which is not there"
            ) from exc

    # Metadata

    def _file_mode(self, metadata: Metadata) -> int:
        kept = self._privileged or (metadata.uid, metadata.gid) == (os.geteuid(), os.getegid())
        return metadata.mode if kept else metadata.mode & ~(stat.S_ISUID | stat.S_ISGID)

    def _set_metadata(self, target: int | bytes, metadata: Metadata, mode: int | None) -> None:
        """Set all of a file's metadata. A chown drops set-id bits and capabilities, so it comes first."""
        if self._privileged:
            os.chown(target, metadata.uid, metadata.gid)
        for attribute, value in metadata.xattrs.items():
            set_xattr(target, attribute, value)
        if mode is not None:
            os.chmod(target, mode)
        os.utime(target, ns=(metadata.mtime_ns, metadata.mtime_ns))

    def _set_by_path(self, parent_fd: int, name: bytes, entry: Entry) -> None:
        """Set the metadata of a link or a FIFO, which cannot be opened for it."""
        mode = None if entry.kind is Kind.SYMLINK else self._file_mode(entry.metadata)
        with owned(os.open(name, PATH, dir_fd=parent_fd)) as fd:
            self._set_metadata(self_path(fd), entry.metadata, mode)

    # Whiteouts

    def _whiteout(self, entry: Entry) -> None:
        name = entry.path[-1].removeprefix(_WHITEOUT)
        if name in (b"", b".", b".."):
            raise InvalidSpec(f"invalid archive: entry {entry.name} is no whiteout")
        if not self._lower:
            return
        above = self._paths.resolve(entry.path[:-1])
        hidden = above if entry.path[-1] == _OPAQUE else (*above, name)
        if hidden in self._made or hidden == above:
            self._hide_below(hidden)
            return
        try:
            parent_fd = self._paths.open(above, PATH_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        with owned(parent_fd):
            self._remove(parent_fd, hidden)

    def _hide_below(self, top: TreePath) -> None:
        """Remove what lower layers have below a directory, and keep what this layer has."""
        pending = [top]
        while pending:
            directory = pending.pop()
            try:
                fd = self._paths.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                continue
            with owned(fd):
                for entry_name in os.listdir(fd):
                    path = (*directory, os.fsencode(entry_name))
                    if path in self._made:
                        pending.append(path)
                    else:
                        self._remove(fd, path)

    def _remove(self, parent_fd: int, path: TreePath) -> None:
        remove_tree(parent_fd, path[-1])
        self._paths.forget_names()
        for known in [known for known in self._directories if known[: len(path)] == path]:
            del self._directories[known]

    def _note(self, path: TreePath) -> None:
        if not self._lower:
            return
        while path and path not in self._made:
            self._made.add(path)
            path = path[:-1]


def _blamed(exc: OSError, name: bytes) -> Exception:
    """Name the entry: in the text of an error that is the archive's, as filename in one of the system's."""
    if exc.errno in _OF_THE_ENTRY:
        return InvalidSpec(f"invalid archive: entry {shown(name)}: {exc.strerror}")
    exc.filename = name
    exc.filename2 = None
    return exc
