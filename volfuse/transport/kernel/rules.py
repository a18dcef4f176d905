"""Names that belong to a view rather than to a source: mount points and the directories that lead to them.

The rules and errors are those of `fs.paths`, which has them for transports that know paths.
"""

from __future__ import annotations

import errno
import os

from volfuse.transport.kernel.nodes import DirectoryNode

__all__ = ["check_absent", "check_renamable", "check_rmdir", "check_source", "check_target", "check_unlink"]


def check_absent(parent: DirectoryNode, name: bytes) -> None:
    """Raise EEXIST where the view itself has the name; EPERM in the list of views, which only containers change."""
    if parent.view is None:
        raise _error(errno.EPERM, name)
    if parent.own is not None and name in parent.own:
        raise _error(errno.EEXIST, name)


def check_unlink(parent: DirectoryNode, name: bytes) -> None:
    """Raise as unlink(2) does for a mount point, or a directory that leads to one."""
    if parent.view is None:
        raise _error(errno.EPERM, name)
    own = parent.own
    if own is not None and name in own:
        mount = own[name]
        raise _error(errno.EISDIR if mount is None or mount.source.is_directory else errno.EBUSY, name)


def check_rmdir(parent: DirectoryNode, name: bytes) -> None:
    """Raise as rmdir(2) does for a mount point, or a directory that leads to one."""
    if parent.view is None:
        raise _error(errno.EBUSY, name)
    own = parent.own
    if own is not None and name in own:
        raise _error(errno.ENOTEMPTY if own[name] is None else errno.EBUSY, name)


def check_renamable(parent: DirectoryNode, name: bytes) -> None:
    """Raise EBUSY for a mount point, or a directory that leads to one."""
    if parent.view is None or (parent.own is not None and name in parent.own):
        raise _error(errno.EBUSY, name)


def check_source(parent: DirectoryNode, name: bytes) -> None:
    """Raise EBUSY for the name of a view."""
    if parent.view is None:
        raise _error(errno.EBUSY, name)


def check_target(parent: DirectoryNode, name: bytes) -> None:
    """Raise EPERM for a new name in the list of views."""
    if parent.view is None:
        raise _error(errno.EPERM, name)


def _error(number: int, name: bytes) -> OSError:
    return OSError(number, os.strerror(number), name)
