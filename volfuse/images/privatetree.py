"""Private trees of containers: the image's tree below, the container's own changes above it.

As root a tree is an overlay mount that is attached nowhere. Its options follow from what volfuse needs:

- `index=on`: the names of a hard-linked image file stay one file, with one inode number, when it is first written
  to. Without it the copied name would become another file, and the node that a view holds of it stale.
- `redirect_dir=off`, `metacopy=off`: a rename of a directory of the image is EXDEV, as under Docker's overlay2, and a
  file is always wholly on one side.

With `index=on` the kernel refuses an upper directory that is still in use, or whose image is not the one it was made
for (EBUSY, ESTALE). The first happens when a program of a killed daemon's container still holds a file open,
the second when the state root was copied to another disk. Both must not cost the container its tree, so it is then
mounted with `index=off` and a warning: what changes is only what is said of hard links above.

Elsewhere the tree is a copy, reflinked where the file system can.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import tempfile
import threading
from contextlib import AbstractContextManager
from pathlib import Path

from volfuse.core.wire import TmpfsOptions
from volfuse.errors import Unavailable
from volfuse.fs.copytree import copy_tree
from volfuse.fs.descriptors import self_path
from volfuse.fs.metadata import copy_metadata
from volfuse.fs.removetree import remove_tree
from volfuse.sys.mountapi import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, detached_mount
from volfuse.sys.owned import owned

__all__ = ["PrivateTrees"]

_log = logging.getLogger(__name__)

_ATTRIBUTES = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TMPFS_MODE = 0o1777


class PrivateTrees:
    """Makes and opens private trees; safe to use from any thread.

    Attributes:
        mode: `overlay` or `copy`.
        reason: why it is `copy`, for the user; empty for `overlay`.
    """

    def __init__(self, root: Path, overlay: bool | None = None) -> None:
        """Find out which kind of tree works below `root`.

        Args:
            root: a directory on the file system that will hold images and containers; a trial directory is made
                and removed in it (the daemon passes `staging`).
            overlay: True to insist on overlay, False for copies, None for what works.

        Raises:
            Unavailable: overlay was insisted on and the kernel refuses.
        """
        self._copying = threading.Lock()  # held while an image is read: without privilege its modes change meanwhile
        self.reason = "copies were chosen" if overlay is False else _try_overlay(root)
        self.mode = "copy" if self.reason else "overlay"
        if overlay and self.reason:
            raise Unavailable(f"overlay is not available below {root}: {self.reason}")

    def prepare(self, container_dir: Path, image_rootfs: Path) -> None:
        """Make what a container's private tree needs: `upper` and `work`, or `rootfs`.

        Args:
            container_dir: an existing directory, which may be moved afterwards within its file system.
            image_rootfs: tree of the image.
        """
        with _opened(container_dir) as container_fd, _opened(image_rootfs) as image_fd:
            if self.mode == "copy":
                with self._copying, _made(container_fd, b"rootfs") as rootfs_fd:
                    copy_tree(image_fd, rootfs_fd)
                return
            os.mkdir(b"work", 0o700, dir_fd=container_fd)
            with _made(container_fd, b"upper") as upper_fd:
                copy_metadata(image_fd, upper_fd)

    def open(self, container_dir: Path, image_rootfs: Path) -> int:
        """Open the root of a container's private tree.

        Returns:
            int: an O_PATH descriptor that the caller owns. Of an overlay it is the mount itself: the mount ends when
                this descriptor and all files opened through it are closed.

        Raises:
            Unavailable: the tree was made as an overlay, and the kernel has none for us now.
        """
        with _opened(container_dir) as container_fd:
            with contextlib.suppress(FileNotFoundError):
                return os.open(b"rootfs", _DIRECTORY, dir_fd=container_fd)
            if self.mode == "copy":
                raise Unavailable(f"the files of {container_dir.name} lie in an overlay, but {self.reason}")
            with _opened(image_rootfs) as image_fd:
                return _mount_overlay(container_fd, image_fd)

    def open_tmpfs(self, options: TmpfsOptions) -> int:
        """Make a tmpfs that is mounted nowhere.

        Args:
            options: size 0 is the kernel's default (half of the memory), mode 0 is 1777. `options.options` are the
                business of the view (`ro`, `noexec`) or have no meaning for a mount nobody sees.

        Returns:
            int: an O_PATH descriptor of its root that the caller owns; the tmpfs is gone when it is closed.

        Raises:
            Unavailable: only root may mount, or the kernel has no mount API (5.2).
        """
        settings: dict[bytes, bytes | None] = {b"mode": b"%o" % (options.mode or _TMPFS_MODE)}
        if options.size_bytes:
            settings[b"size"] = b"%d" % options.size_bytes
        try:
            return detached_mount(b"tmpfs", settings, _ATTRIBUTES)
        except OSError as exc:
            if exc.errno in (errno.EPERM, errno.ENOSYS):
                raise Unavailable(f"tmpfs is not available: {exc.strerror}") from exc
            raise


def _mount_overlay(container_fd: int, image_fd: int) -> int:
    try:
        return _overlay(container_fd, image_fd, b"on")
    except OSError as exc:
        if exc.errno not in (errno.EBUSY, errno.ESTALE):
            raise
        fd = _overlay(container_fd, image_fd, b"off")
        container = os.fsdecode(os.readlink(self_path(container_fd)))
        _log.warning("private tree of %s is mounted without index: %s", container, exc.strerror)
        return fd


def _overlay(container_fd: int, image_fd: int, index: bytes) -> int:
    """Mount the image below `upper`. Layers are named by descriptors: no length limit, no escaping, any kernel."""
    with _opened_at(container_fd, b"upper") as upper_fd, _opened_at(container_fd, b"work") as work_fd:
        return detached_mount(
            b"overlay",
            {
                b"lowerdir": self_path(image_fd),
                b"upperdir": self_path(upper_fd),
                b"workdir": self_path(work_fd),
                b"index": index,
                b"redirect_dir": b"off",
                b"metacopy": b"off",
            },
            _ATTRIBUTES,
        )


def _try_overlay(root: Path) -> str:
    """Use an overlay below `root` as a view would; say why it does not work, or nothing."""
    trial = Path(tempfile.mkdtemp(prefix="overlay-", dir=root))
    try:
        for name in ("upper", "work", "lower"):
            (trial / name).mkdir()
        (trial / "lower" / "file").write_bytes(b"lower")
        with _opened(trial) as trial_fd, _opened_at(trial_fd, b"lower") as lower_fd:
            mount_fd = _overlay(trial_fd, lower_fd, b"on")
        with owned(mount_fd):
            _use(mount_fd)
    except OSError as exc:
        return f"the kernel refuses overlay mounts here: {exc.strerror}"
    finally:
        with _opened(root) as root_fd:
            remove_tree(root_fd, os.fsencode(trial.name))
    return ""


def _use(mount_fd: int) -> None:
    """Copy a file up, make one, remove one: what needs xattrs, O_TMPFILE or RENAME_WHITEOUT of the upper side."""
    with os.fdopen(os.open(b"file", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, dir_fd=mount_fd), "wb") as file:
        file.write(b"upper")
    os.mkdir(b"directory", dir_fd=mount_fd)
    os.unlink(b"file", dir_fd=mount_fd)


def _opened(directory: Path) -> AbstractContextManager[int]:
    return owned(os.open(directory, _DIRECTORY))


def _opened_at(dirfd: int, name: bytes) -> AbstractContextManager[int]:
    return owned(os.open(name, _DIRECTORY, dir_fd=dirfd))


def _made(dirfd: int, name: bytes) -> AbstractContextManager[int]:
    os.mkdir(name, 0o700, dir_fd=dirfd)
    return _opened_at(dirfd, name)
