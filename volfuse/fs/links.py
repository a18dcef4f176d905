"""Names of files: links, removing, renaming."""

from __future__ import annotations

import os

from volfuse.fs.descriptors import Caller
from volfuse.fs.view import Mount
from volfuse.sys.at import rmdirat, unlinkat
from volfuse.sys.credentials import acting_as
from volfuse.sys.rename import renameat2

__all__ = ["link_at", "readlink_at", "rename_at", "rmdir_at", "symlink_at", "unlink_at"]


def symlink_at(mount: Mount, dirfd: int, name: bytes, target: bytes, caller: Caller) -> None:
    """Make a symbolic link that belongs to `caller`."""
    mount.check_writable()
    with acting_as(caller.uid, caller.gid):
        os.symlink(target, name, dir_fd=dirfd)


def readlink_at(dirfd: int, name: bytes) -> bytes:
    """Return what a symbolic link holds, as it is."""
    return os.readlink(name, dir_fd=dirfd)


def link_at(mount: Mount, old_dirfd: int, old: bytes, new_dirfd: int, new: bytes) -> None:
    """Give a file of a mount another name in the same mount."""
    mount.check_writable()
    os.link(old, new, src_dir_fd=old_dirfd, dst_dir_fd=new_dirfd, follow_symlinks=False)


def unlink_at(mount: Mount, dirfd: int, name: bytes) -> None:
    """Remove a name that is no directory."""
    mount.check_writable()
    unlinkat(dirfd, name)


def rmdir_at(mount: Mount, dirfd: int, name: bytes) -> None:
    """Remove an empty directory."""
    mount.check_writable()
    rmdirat(dirfd, name)


def rename_at(mount: Mount, old_dirfd: int, old: bytes, new_dirfd: int, new: bytes, flags: int = 0) -> None:
    """Rename within a mount; `flags` has RENAME_* bits."""
    mount.check_writable()
    renameat2(old_dirfd, old, new_dirfd, new, flags)
