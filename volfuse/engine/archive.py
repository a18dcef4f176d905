"""Looking at files of a container, copying them out and in: `docker cp`, and directories for `/volfuse/files`.

Works on the view of a container, running or not: volumes and all other mounts included, by descriptors and never
through the FUSE mount. Paths are followed inside the view and cannot leave it.

Source: docker-semantics 2.6 (read-only), 5.3; moby daemon/archive_unix.go.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from volfuse.core.model import Container
from volfuse.core.users import find_user
from volfuse.engine.containers import Containers
from volfuse.engine.extract import Extraction
from volfuse.engine.listing import Listing, listing_of
from volfuse.engine.tarout import tar_of
from volfuse.engine.viewpath import clean_path, follow_all, follow_parents
from volfuse.errors import InvalidSpec, NotFound, Unavailable
from volfuse.fs import paths as places
from volfuse.fs.view import Mount, View
from volfuse.fs.viewtable import ViewTable
from volfuse.sys.owned import owned

__all__ = ["Archive", "PathStat"]

_USER_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PathStat:
    """What `docker cp` asks of a path first.

    Attributes:
        name: last component as the caller wrote it, `/` for the root.
        mode: st_mode.
        link_target: where a link leads in the container, all links followed; empty for other files.
    """

    name: str
    size: int
    mode: int
    mtime_ns: int
    link_target: str = ""


class Archive:
    """Files of containers, out and in."""

    def __init__(self, table: ViewTable, containers: Containers) -> None:
        self._table = table
        self._containers = containers

    def stat(self, container: str, path: str) -> PathStat:
        """Return what a path names, be it a link.

        Raises:
            NotFound: no such container, or nothing at the path.
            InvalidSpec: a file where the path needs a directory.
        """
        view = self._view(self._containers.get(container))
        with _reported(container, path):
            return _stat(view, path, follow_parents(view, clean_path(path)))

    def get(self, container: str, path: str) -> tuple[PathStat, Iterator[bytes]]:
        """Return what a path names, and a tar of it made while it is taken.

        A link is sent as a link, unless the path ends in `/` or `/.`. The archive's names begin with the path's last
        component, which is `.` for a path that ends in `/.`; those of the root begin with a slash.

        Raises:
            NotFound: no such container, or nothing at the path.
            InvalidSpec: a file where the path needs a directory.
        """
        owner = self._containers.get(container)
        view = self._view(owner)
        with _reported(container, path):
            located = follow_parents(view, clean_path(path))
            found = _stat(view, path, located)
        self._containers.announce(owner, "archive-path")
        return found, tar_of(view, located, os.fsencode(found.name.removeprefix("/")))

    def listing(self, container: str, path: str) -> Listing:
        """Return what is in a directory. A link to one is none; links on the way are followed in the view.

        Raises:
            NotFound: no such container, or nothing at the path.
            InvalidSpec: no directory.
        """
        view = self._view(self._containers.get(container))
        with _reported(container, path):
            return listing_of(view, follow_parents(view, clean_path(path.rstrip("/") or "/")))

    def put(
        self, container: str, path: str, stream: BinaryIO, *, no_overwrite_dir_non_dir: bool, copy_uid_gid: bool
    ) -> None:
        """Unpack a tar, which may be compressed, into a directory; links to it are followed.

        Args:
            copy_uid_gid: the files belong to the user of the container's config, if it names one.

        Raises:
            NotFound: no such container, or no such directory.
            InvalidSpec: no directory, a read-only mount, or a bad archive.
            OSError: what the system says.
        """
        found = self._containers.get(container)
        view = self._view(found)
        with _reported(container, path):
            root = follow_all(view, clean_path(path))
            if not stat.S_ISDIR(places.getattr(view.locate(root)).status.st_mode):
                raise InvalidSpec("extraction point is not a directory")
        mount = view.locate(root).mount
        if mount.readonly:
            raise InvalidSpec(_read_only(mount))
        owner = _owner(view, found.config.user) if copy_uid_gid and found.config.user else None
        extraction = Extraction(view, root, owner, no_overwrite_dir_non_dir)
        try:
            extraction.run(stream)
        except OSError as exc:
            if exc.errno != errno.EROFS:
                raise
            raise InvalidSpec(_read_only(mount)) from exc
        finally:
            self._table.changed(view, extraction.touched)
        self._containers.announce(found, "extract-to-dir")

    def _view(self, container: Container) -> View:
        view = self._table.get(os.fsencode(container.name))
        if view is None:
            raise Unavailable(f"the view of container {container.name} is not shown")
        return view


@contextmanager
def _reported(container: str, path: str) -> Iterator[None]:
    """Turn the system's errors on a path into Docker's."""
    try:
        yield
    except FileNotFoundError as exc:
        raise NotFound(f"Could not find the file {path} in container {container}") from exc
    except OSError as exc:
        if exc.errno not in (errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
            raise
        raise InvalidSpec(f"lstat {path}: {os.strerror(exc.errno).lower()}") from exc


def _stat(view: View, path: str, located: bytes) -> PathStat:
    status = places.getattr(view.locate(located)).status
    if clean_path(path).endswith(b"/.") and not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    target = os.fsdecode(b"/" + follow_all(view, located)) if stat.S_ISLNK(status.st_mode) else ""
    return PathStat(_base(path), status.st_size, status.st_mode, status.st_mtime_ns, target)


def _base(path: str) -> str:
    """Return the last component of a path as Go's filepath.Base does."""
    return path.rstrip("/").rpartition("/")[2] or ("/" if path else ".")


def _read_only(mount: Mount) -> str:
    return "mounted volume is marked read-only" if mount.destination else "container rootfs is marked read-only"


def _owner(view: View, user: str) -> tuple[int, int]:
    return find_user(user, _text_of(view, b"/etc/passwd"), _text_of(view, b"/etc/group"))


def _text_of(view: View, path: bytes) -> str:
    """Return the beginning of a file of the container; nothing if there is none."""
    try:
        fd = places.open_file(view.locate(follow_all(view, path)), os.O_RDONLY).fd
    except OSError:
        return ""
    with owned(fd):
        return os.fsdecode(os.read(fd, _USER_FILE_BYTES))
