"""Extended attributes.

There are no calls for them relative to a directory, so the file is pinned and reached through /proc/self/fd, which
leads to a symbolic link itself too.
"""

from __future__ import annotations

import os

from volfuse.fs.descriptors import Pinned, self_path
from volfuse.fs.view import Mount

__all__ = ["getxattr_at", "listxattr_at", "removexattr_at", "setxattr_at"]


def getxattr_at(dirfd: int, name: bytes, attribute: bytes) -> bytes:
    """Return the value of an attribute; ENODATA if there is none."""
    with Pinned(dirfd, name) as fd:
        return os.getxattr(self_path(fd), attribute)


def listxattr_at(dirfd: int, name: bytes) -> list[bytes]:
    """Return the names of all attributes."""
    with Pinned(dirfd, name) as fd:
        return [os.fsencode(attribute) for attribute in os.listxattr(self_path(fd))]


def setxattr_at(mount: Mount, dirfd: int, name: bytes, attribute: bytes, value: bytes, flags: int) -> None:
    """Set an attribute; `flags` is os.XATTR_CREATE, os.XATTR_REPLACE or 0."""
    mount.check_writable()
    with Pinned(dirfd, name) as fd:
        os.setxattr(self_path(fd), attribute, value, flags)


def removexattr_at(mount: Mount, dirfd: int, name: bytes, attribute: bytes) -> None:
    """Remove an attribute."""
    mount.check_writable()
    with Pinned(dirfd, name) as fd:
        os.removexattr(self_path(fd), attribute)
