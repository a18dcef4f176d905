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
from volfuse.core.links import follow_links
from volfuse.errors import InvalidSpec
from volfuse.fs.descriptors import self_path
from volfuse.fs.metadata import set_xattr
from volfuse.fs.removetree import remove_tree
from volfuse.fs.unlocked import PATH
from volfuse.images.archive import Entry, Metadata, read_entries, shown, split_name
from volfuse.images.streams import DEFAULT_LIMITS, Limits, TarBytes
from volfuse.sys.openat2 import openat2
from volfuse.sys.owned import owned

__all__ = ["TreeUnpacker"]

_WHITEOUT: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"
_AUFS: Final = b".wh..wh."
_PATH_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OF_THE_ENTRY = frozenset(
    {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.EINVAL, errno.EMLINK, errno.E2BIG, errno.ERANGE}
)
"""Errors that only the entry can be blamed for; others (ENOSPC, EIO) are the system's."""

_Path = tuple[bytes, ...]


class TreeUnpacker:
    """Fills one directory. Used by one thread, and nobody else writes below the directory meanwhile.

    Attributes:
        size: bytes of all regular files unpacked so far.
    """

    def __init__(self, root_fd: int, limits: Limits = DEFAULT_LIMITS) -> None:
        """Take the directory to fill; the descriptor stays the caller's."""
        self.size = 0
        self._root_fd = root_fd
        self._limits = limits
        self._entries = 0
        self._privileged = os.geteuid() == 0
        self._directories: dict[_Path, Metadata] = {}
        self._lower = False  # whether something may be there that this layer did not make
        self._made: set[_Path] = set()  # what this layer has, with the directories above; kept if there is a lower one
        self._parent: tuple[_Path, _Path, int] | None = None  # as named, as resolved, descriptor
        self._parent_stale = False  # something was removed: the name may mean another directory now

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
            self._forget_parent()
            self._made.clear()
            self._lower = True

    def finish(self) -> None:
        """Give the directories their metadata, those below first. Call it once, after the last layer."""
        for path in sorted(self._directories, reverse=True):
            try:
                fd = self._open(path, os.O_RDONLY | os.O_DIRECTORY)
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
        above, parent_fd = self._open_parent(entry.path[:-1])
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

    def _clear(self, parent_fd: int, path: _Path, entry: Entry) -> bool:
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
            with owned(self._open(self._resolve(target[:-1]), _PATH_DIRECTORY)) as target_fd:
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
        above = self._resolve(entry.path[:-1])
        hidden = above if entry.path[-1] == _OPAQUE else (*above, name)
        if hidden in self._made or hidden == above:
            self._hide_below(hidden)
            return
        try:
            parent_fd = self._open(above, _PATH_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        with owned(parent_fd):
            self._remove(parent_fd, hidden)

    def _hide_below(self, top: _Path) -> None:
        """Remove what lower layers have below a directory, and keep what this layer has."""
        pending = [top]
        while pending:
            directory = pending.pop()
            try:
                fd = self._open(directory, os.O_RDONLY | os.O_DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                continue
            with owned(fd):
                for entry_name in os.listdir(fd):
                    path = (*directory, os.fsencode(entry_name))
                    if path in self._made:
                        pending.append(path)
                    else:
                        self._remove(fd, path)

    def _remove(self, parent_fd: int, path: _Path) -> None:
        remove_tree(parent_fd, path[-1])
        self._parent_stale = True
        for known in [known for known in self._directories if known[: len(path)] == path]:
            del self._directories[known]

    def _note(self, path: _Path) -> None:
        if not self._lower:
            return
        while path and path not in self._made:
            self._made.add(path)
            path = path[:-1]

    # Places in the tree

    def _open(self, path: _Path, flags: int) -> int:
        """Open a resolved path of the tree, following nothing."""
        return openat2(self._root_fd, b"/".join(path) or b".", flags | os.O_CLOEXEC)

    def _open_parent(self, named: _Path) -> tuple[_Path, int]:
        """Return the directory that an entry's parent means, made where it is missing; the descriptor is kept here."""
        if self._parent is None or self._parent_stale or self._parent[0] != named:
            path = self._resolve(named)
            fd = self._open_or_make(path)
            self._forget_parent()
            self._parent = (named, path, fd)
            self._parent_stale = False
        return self._parent[1], self._parent[2]

    def _forget_parent(self) -> None:
        if self._parent is not None:
            os.close(self._parent[2])
            self._parent = None

    def _open_or_make(self, path: _Path) -> int:
        try:
            return self._open(path, _PATH_DIRECTORY)
        except FileNotFoundError:
            pass
        fd = self._open((), _PATH_DIRECTORY)
        for name in path:
            with owned(fd):
                fd = _open_or_make_one(fd, name)
        return fd

    def _resolve(self, path: _Path) -> _Path:
        """Follow the links along a path, inside the tree."""
        try:
            os.close(self._open(path, _PATH_DIRECTORY))
        except FileNotFoundError:
            pass
        except OSError as exc:
            if exc.errno != errno.ELOOP:
                raise
        else:
            return path
        return follow_links(b"/" + b"/".join(path), self._readlink)

    def _readlink(self, path: _Path) -> bytes | None:
        try:
            fd = self._open(path[:-1], _PATH_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            with owned(fd):
                target = os.readlink(path[-1], dir_fd=fd)
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno != errno.EINVAL:  # EINVAL: there, but no link
                raise
            return None
        if _leads_out(path, target):
            raise InvalidSpec(f"invalid archive: the link {shown(b'/'.join(path))} on the way leads out of the image")
        return target


def _open_or_make_one(dirfd: int, name: bytes) -> int:
    """Open a directory, or make it as a parent that no entry names: 0755, of the caller."""
    flags = _PATH_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=dirfd)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=dirfd)
    fd = os.open(name, flags, dir_fd=dirfd)
    os.chmod(self_path(fd), 0o755)
    return fd


def _leads_out(link: _Path, target: bytes) -> bool:
    """Tell whether a target has more `..` than there are directories above the link."""
    depth = 0 if target.startswith(b"/") else len(link) - 1
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in (b"", b"."):
            depth += 1
        if depth < 0:
            return True
    return False


def _blamed(exc: OSError, name: bytes) -> Exception:
    """Name the entry: in the text of an error that is the archive's, as filename in one of the system's."""
    if exc.errno in _OF_THE_ENTRY:
        return InvalidSpec(f"invalid archive: entry {shown(name)}: {exc.strerror}")
    exc.filename = name
    exc.filename2 = None
    return exc
