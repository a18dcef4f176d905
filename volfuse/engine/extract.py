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
import tarfile
from dataclasses import dataclass, field
from typing import IO, BinaryIO

from volfuse.archives.reader import (
    PARSING_ERRORS,
    TarStream,
    member_extents,
    member_times,
    member_xattrs,
    tar_bytes,
)
from volfuse.core.paths import clean_bytes
from volfuse.engine.viewpath import follow_all
from volfuse.errors import InvalidSpec
from volfuse.fs import paths as places
from volfuse.fs.descriptors import Caller, Parent
from volfuse.fs.removetree import remove_tree
from volfuse.fs.view import View

__all__ = ["Extraction"]

_ROOT = Caller(0, 0)
_CHUNK_BYTES = 1 << 20
_NS = 10**9
_LARGEST_ID = 0xFFFF_FFFE
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_XATTRS = ("user.", "security.capability", "system.posix_acl_")
_OVERLAY = "user.overlay."
_NO_XATTR = frozenset({errno.ENOTSUP, errno.EPERM, errno.EINVAL})
"""The file system, or the kind of file, cannot have the attribute."""

_OF_THE_ENTRY = frozenset({errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL})
"""Errors that only the archive can be blamed for; others (ENOSPC, EIO) are the system's."""

_SPECIAL = {tarfile.FIFOTYPE: stat.S_IFIFO, tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}


@dataclass(slots=True)
class Extraction:
    """One unpacking.

    Attributes:
        root: path in the view of the directory, without links.
        owner: what all files belong to; None leaves the owners of the archive.
        no_overwrite_dir_non_dir: a directory and a file do not replace each other.
    """

    view: View
    root: bytes
    owner: tuple[int, int] | None = None
    no_overwrite_dir_non_dir: bool = False
    _parent: tuple[bytes, bytes] | None = None  # the last entry's parent, as written and as it was followed
    _directories: dict[bytes, tarfile.TarInfo] = field(default_factory=dict)

    def run(self, stream: BinaryIO) -> None:
        """Unpack a tar, which may be compressed.

        Raises:
            InvalidSpec: the archive is broken, leads out, or collides with what is there.
            OSError: the system refuses, as EROFS below a read-only mount.
        """
        for member, content in TarStream(stream).members():
            try:
                self._extract(member, content)
            except PARSING_ERRORS as exc:
                raise InvalidSpec(f"invalid archive: {_shown(tar_bytes(member.name))}: {exc}") from exc
            except OSError as exc:
                if exc.errno not in _OF_THE_ENTRY:
                    raise
                problem = os.strerror(exc.errno).lower()
                raise InvalidSpec(f"cannot unpack {_shown(tar_bytes(member.name))}: {problem}") from exc
        # Deepest first and last of all: a directory may forbid writing into it, and what is put in it changes its time.
        for path, member in reversed(self._directories.items()):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self._set_mode_and_times(member, path)

    def _extract(self, member: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        name = self._relative(tar_bytes(member.name))
        path = self._locate(name)
        found = self._existing(path)
        if found is not None:
            if not name and stat.S_ISDIR(found):
                return
            self._check_collision(member, path, found)
            if not (member.isdir() and stat.S_ISDIR(found)):
                self._remove(path)
        self._create(member, path, content)
        if not member.islnk():
            self._set_owner_and_xattrs(member, path)
        if member.isdir():
            self._directories[path] = member
        elif not member.islnk():
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
        return _join(self._parent[1], last)

    def _make_parent(self, head: bytes) -> bytes:
        parent = follow_all(self.view, _join(self.root, head))
        if self._existing(parent) is None:
            made = b""
            for name in parent.split(b"/"):
                made = _join(made, name)
                with contextlib.suppress(FileExistsError):
                    places.mkdir(self.view.locate_entry(made), 0o755, _ROOT)
                    places.chmod(self.view.locate(made), 0o755)
        return parent

    def _existing(self, path: bytes) -> int | None:
        """Return the mode of what a path names, be it a link."""
        try:
            return places.getattr(self.view.locate(path)).status.st_mode
        except FileNotFoundError:
            return None

    def _check_collision(self, member: tarfile.TarInfo, path: bytes, found: int) -> None:
        if not self.no_overwrite_dir_non_dir or stat.S_ISDIR(found) == member.isdir():
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

    def _create(self, member: tarfile.TarInfo, path: bytes, content: IO[bytes] | None) -> None:
        entry = self.view.locate_entry(path)
        if member.isdir():
            if self._existing(path) is None:
                places.mkdir(entry, 0o700, _ROOT)
        elif content is not None:
            self._write(member, path, content)
        elif member.issym():
            places.symlink(entry, tar_bytes(member.linkname), _ROOT)
            self._parent = None
        elif member.islnk():
            places.link(self.view.locate(self._link_target(member)), entry)
        elif member.type in _SPECIAL:
            device = os.makedev(member.devmajor, member.devminor) if member.isdev() and not member.isfifo() else 0
            places.mknod(entry, _SPECIAL[member.type] | 0o600, device, _ROOT)
        else:
            raise InvalidSpec(f"invalid archive: {_shown(tar_bytes(member.name))} is of unknown type {member.type!r}")

    def _link_target(self, member: tarfile.TarInfo) -> bytes:
        """Return the path in the view of what a hard link names: a file below the root of the extraction."""
        head, _, last = self._relative(tar_bytes(member.linkname)).rpartition(b"/")
        return _join(follow_all(self.view, _join(self.root, head)), last)

    def _write(self, member: tarfile.TarInfo, path: bytes, content: IO[bytes]) -> None:
        handle = places.create(self.view.locate_entry(path), _NEW_FILE, 0o600, _ROOT)
        try:
            for offset, length in member_extents(member):
                self._write_extent(handle.fd, content, offset, length)
            os.ftruncate(handle.fd, member.size)
        finally:
            os.close(handle.fd)

    def _write_extent(self, fd: int, content: IO[bytes], offset: int, length: int) -> None:
        content.seek(offset)
        os.lseek(fd, offset, os.SEEK_SET)
        while length > 0:
            chunk = content.read(min(length, _CHUNK_BYTES))
            if not chunk:
                raise InvalidSpec("invalid archive: unexpected end of data")
            length -= len(chunk)
            left = memoryview(chunk)
            while left:
                left = left[os.write(fd, left) :]

    def _set_owner_and_xattrs(self, member: tarfile.TarInfo, path: bytes) -> None:
        """Set what a later change of the mode builds on: a chown drops set-id bits and capabilities."""
        uid, gid = self.owner or (member.uid, member.gid)
        if not (0 <= uid <= _LARGEST_ID and 0 <= gid <= _LARGEST_ID):
            raise InvalidSpec(f"invalid archive: {_shown(tar_bytes(member.name))} has the impossible owner {uid}:{gid}")
        try:
            places.chown(self.view.locate(path), uid, gid)
        except FileNotFoundError:
            if path not in self.view.leading:
                raise
        except PermissionError:
            if os.geteuid() == 0:
                raise
        self._set_xattrs(member, path)

    def _set_mode_and_times(self, member: tarfile.TarInfo, path: bytes) -> None:
        place = self.view.locate(path)
        if not member.issym():
            places.chmod(place, member.mode & 0o7777)
        accessed, modified = member_times(member)
        places.utimens(place, divmod(accessed, _NS), divmod(modified, _NS))

    def _set_xattrs(self, member: tarfile.TarInfo, path: bytes) -> None:
        """Set the attributes that mean the same everywhere; others, and impossible ones, are left out."""
        for attribute, value in member_xattrs(member).items():
            if not attribute.startswith(_XATTRS) or attribute.startswith(_OVERLAY):
                continue
            try:
                places.setxattr(self.view.locate(path), os.fsencode(attribute), value, 0)
            except OSError as exc:
                if exc.errno not in _NO_XATTR:
                    raise

    @property
    def _shown_root(self) -> str:
        return f"/{os.fsdecode(self.root)}"


def _join(path: bytes, name: bytes) -> bytes:
    return path + b"/" + name if path and name else path or name


def _shown(name: bytes) -> str:
    return ascii(os.fsdecode(name)) if not name.isascii() else f'"{name.decode()}"'
