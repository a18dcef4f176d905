"""Unpacking a tar into a directory of a view: the daemon's half of `docker cp` into a container.

Names are taken below the directory, whatever they begin with; one that leads above it is an error. Links on the way to
a name are followed inside the view, as they would be in the container, and nothing is ever written through a name that
is a link: an existing file makes way for the new one. A directory that exists is kept and takes the new metadata.

Source: docker-semantics 5.3; moby go-archive, Unpack and createTarFile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from volfuse.archives.broken import BrokenArchive
from volfuse.archives.compression import decompressed, drain
from volfuse.archives.members import Kind, Member, parse_seconds, write_content
from volfuse.archives.reader import read_members
from volfuse.core.paths import clean_bytes
from volfuse.engine.tarout import is_portable
from volfuse.engine.viewpath import follow_all, join
from volfuse.errors import InvalidSpec
from volfuse.fs import paths as places
from volfuse.fs.descriptors import Caller, Parent
from volfuse.fs.removetree import remove_tree
from volfuse.fs.view import View
from volfuse.sys.owned import owned

__all__ = ["Extraction"]

_ROOT = Caller(0, 0)
_NS = 10**9
_LATEST_S = 1 << 33
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_NO_XATTR = frozenset({errno.ENOTSUP, errno.EPERM, errno.EINVAL})
"""The file system, or the kind of file, cannot have the attribute."""

_OF_THE_ENTRY = frozenset({errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL})
"""Errors that only the archive can be blamed for; others (ENOSPC, EIO) are the system's."""

_DEVICES = {Kind.CHARACTER_DEVICE: stat.S_IFCHR, Kind.BLOCK_DEVICE: stat.S_IFBLK}


@dataclass(slots=True)
class Extraction:
    """One unpacking.

    Attributes:
        root: path in the view of the directory, without links.
        owner: what all files belong to; None leaves the owners of the archive.
        no_overwrite_dir_non_dir: a directory and a file do not replace each other.
        touched: paths in the view that were made, replaced or changed so far.
    """

    view: View
    root: bytes
    owner: tuple[int, int] | None = None
    no_overwrite_dir_non_dir: bool = False
    touched: set[bytes] = field(default_factory=set)
    _parent: tuple[bytes, bytes] | None = None  # the last entry's parent, as written and as it was followed
    _directories: dict[bytes, Member] = field(default_factory=dict)

    def run(self, stream: BinaryIO) -> None:
        """Unpack a tar, which may be compressed. Nothing at all is an empty archive.

        It is read up, whatever is behind its end: a client that still sends must not be cut off.

        Raises:
            InvalidSpec: the archive is broken, leads out, or collides with what is there.
            OSError: the system refuses, as EROFS below a read-only mount.
        """
        unpacked = decompressed(stream)
        if unpacked is None:
            return
        for member in read_members(unpacked):
            with _blamed(member):
                self._extract(member)
        drain(stream)
        # Deepest first and last of all: a directory may forbid writing into it, and what is put in it changes its time.
        for path, member in reversed(self._directories.items()):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self._set_mode_and_times(member, path)

    def _extract(self, member: Member) -> None:
        name = self._relative(member.name)
        path = self._locate(name)
        self.touched.add(path)
        found = self._existing(path)
        if found is not None:
            if not name and stat.S_ISDIR(found):
                return
            self._check_collision(member, path, found)
            if not (member.kind is Kind.DIRECTORY and stat.S_ISDIR(found)):
                self._remove(path)
        self._create(member, path)
        if member.kind is Kind.HARD_LINK:
            return
        self._set_owner_and_xattrs(member, path)
        if member.kind is Kind.DIRECTORY:
            self._directories[path] = member
        else:
            self._set_mode_and_times(member, path)

    def _relative(self, name: bytes) -> bytes:
        """Return a name below the root of the extraction; empty for the root itself."""
        if b"\0" in name:
            raise InvalidSpec(f"invalid archive: {_shown(name)} has a NUL in its name")
        cleaned = clean_bytes(name).lstrip(b"/")
        if cleaned == b".." or cleaned.startswith(b"../"):
            raise InvalidSpec(f'invalid archive: {_shown(name)} is outside of "{self._shown_root}"')
        return b"" if cleaned == b"." else cleaned

    def _locate(self, name: bytes) -> bytes:
        """Return the path in the view of an entry, its parents followed, and made if they are missing."""
        if not name:
            return self.root
        head, _, last = name.rpartition(b"/")
        if self._parent is None or self._parent[0] != head:
            self._parent = head, self._make_parent(head)
        return join(self._parent[1], last)

    def _make_parent(self, head: bytes) -> bytes:
        parent = follow_all(self.view, join(self.root, head))
        if self._existing(parent) is None:
            made = b""
            for name in parent.split(b"/"):
                made = join(made, name)
                with contextlib.suppress(FileExistsError):
                    places.mkdir(self.view.locate_entry(made), 0o755, _ROOT)
                    self.touched.add(made)
                    places.chmod(self.view.locate(made), 0o755)
        return parent

    def _existing(self, path: bytes) -> int | None:
        """Return the mode of what a path names, be it a link."""
        try:
            return places.getattr(self.view.locate(path)).status.st_mode
        except FileNotFoundError:
            return None

    def _check_collision(self, member: Member, path: bytes, found: int) -> None:
        if not self.no_overwrite_dir_non_dir or stat.S_ISDIR(found) == (member.kind is Kind.DIRECTORY):
            return
        kinds = ("directory", "non-directory") if stat.S_ISDIR(found) else ("non-directory", "directory")
        raise InvalidSpec(f'cannot overwrite {kinds[0]} "/{os.fsdecode(path)}" with {kinds[1]} "{self._shown_root}"')

    def _remove(self, path: bytes) -> None:
        """Remove a file or a tree; one with a mount point in it stays whole."""
        if any(point == path or point.startswith(path + b"/") for point in self.view.points):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        entry = self.view.locate_entry(path)
        places.check_removable(entry)
        with Parent(entry.mount.source.fd, entry.rel) as (dirfd, name):
            remove_tree(dirfd, name)
        self._parent = None
        for directory in [d for d in self._directories if d == path or d.startswith(path + b"/")]:
            del self._directories[directory]

    def _create(self, member: Member, path: bytes) -> None:
        entry = self.view.locate_entry(path)
        match member.kind:
            case Kind.DIRECTORY:
                if self._existing(path) is None:
                    places.mkdir(entry, 0o700, _ROOT)
            case Kind.FILE:
                self._write(member, path)
            case Kind.SYMLINK:
                places.symlink(entry, member.link, _ROOT)
                self._parent = None
            case Kind.HARD_LINK:
                places.link(self.view.locate(self._link_target(member)), entry)
            case Kind.FIFO:
                places.mknod(entry, stat.S_IFIFO | 0o600, 0, _ROOT)
            case Kind.CHARACTER_DEVICE | Kind.BLOCK_DEVICE:
                places.mknod(entry, _DEVICES[member.kind] | 0o600, os.makedev(*member.device), _ROOT)
            case None:
                raise InvalidSpec(f"invalid archive: {_shown(member.name)} is of unknown type {member.type!r}")

    def _link_target(self, member: Member) -> bytes:
        """Return the path in the view of what a hard link names: a file below the root of the extraction."""
        head, _, last = self._relative(member.link).rpartition(b"/")
        return join(follow_all(self.view, join(self.root, head)), last)

    def _write(self, member: Member, path: bytes) -> None:
        with owned(places.create(self.view.locate_entry(path), _NEW_FILE, 0o600, _ROOT).fd) as fd:
            write_content(member, fd)

    def _set_owner_and_xattrs(self, member: Member, path: bytes) -> None:
        """Set what a later change of the mode builds on: a chown drops set-id bits and capabilities."""
        if self.owner is None and not member.has_possible_owner:
            owner = f"{member.uid}:{member.gid}"
            raise InvalidSpec(f"invalid archive: {_shown(member.name)} has the impossible owner {owner}")
        uid, gid = self.owner or (member.uid, member.gid)
        try:
            places.chown(self.view.locate(path), uid, gid)
        except FileNotFoundError:
            if path not in self.view.leading:
                raise
        except PermissionError:
            if os.geteuid() == 0:
                raise
        self._set_xattrs(member, path)

    def _set_mode_and_times(self, member: Member, path: bytes) -> None:
        place = self.view.locate(path)
        if member.kind is not Kind.SYMLINK:
            places.chmod(place, member.mode)
        accessed, modified = _times(member)
        places.utimens(place, divmod(accessed, _NS), divmod(modified, _NS))

    def _set_xattrs(self, member: Member, path: bytes) -> None:
        """Set the attributes that mean the same everywhere; others, and impossible ones, are left out."""
        for attribute, value in member.xattrs.items():
            if not is_portable(attribute):
                continue
            try:
                places.setxattr(self.view.locate(path), os.fsencode(attribute), value, 0)
            except OSError as exc:
                if exc.errno not in _NO_XATTR:
                    raise

    @property
    def _shown_root(self) -> str:
        return f"/{os.fsdecode(self.root)}"


@contextlib.contextmanager
def _blamed(member: Member) -> Iterator[None]:
    """Name the member in errors that are the archive's."""
    try:
        yield
    except BrokenArchive as exc:
        raise InvalidSpec(f"invalid archive: {_shown(member.name)}: {exc.problem}") from exc
    except (ValueError, OverflowError) as exc:  # a NUL in a name, a number that is too large for the system
        raise InvalidSpec(f"invalid archive: {_shown(member.name)}: {exc}") from exc
    except OSError as exc:
        if exc.errno not in _OF_THE_ENTRY:
            raise
        raise InvalidSpec(f"cannot unpack {_shown(member.name)}: {os.strerror(exc.errno).lower()}") from exc


def _times(member: Member) -> tuple[int, int]:
    """Return access and modification time in nanoseconds.

    Impossible ones are the epoch, and no access is older than the modification (moby go-archive: boundTime,
    latestTime).
    """
    accessed, modified = _time_ns(member.accessed), _time_ns(member.modified)
    return max(accessed, modified), modified


def _time_ns(text: str) -> int:
    seconds = parse_seconds(text)
    return int(seconds * _NS) if seconds is not None and 0 <= seconds < _LATEST_S else 0


def _shown(name: bytes) -> str:
    return ascii(os.fsdecode(name)) if not name.isascii() else f'"{name.decode()}"'
