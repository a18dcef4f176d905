"""What differs between an image's tree and a container's own, as `docker diff` shows it.

The trees are compared, whatever the private tree is made of; links are not followed. Directories on the way to a change
are changed too, of what was deleted only the top is named, of what was added everything (moby daemon/changes.go).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Difference", "Kind", "differences"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_OF_THE_START = frozenset({
    b"/dev", b"/dev/console", b"/etc/hostname", b"/etc/hosts", b"/etc/mtab", b"/etc/resolv.conf", b"/proc", b"/sys",
})  # fmt: skip
"""Places that a program's start makes: Docker has them in a layer of their own and does not show them."""


class Kind(IntEnum):
    """Docker's numbers."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """One path and what happened to it."""

    path: bytes
    kind: Kind


def differences(image_fd: int, tree_fd: int) -> list[Difference]:
    """Compare the trees at two directory descriptors, which may be O_PATH; sorted by path."""
    return sorted(_below(b"", image_fd, b".", tree_fd, b"."), key=lambda d: d.path)


def _below(path: bytes, image_at: int, image_name: bytes, tree_at: int, tree_name: bytes) -> Iterator[Difference]:
    image_fd = os.open(image_name, _DIRECTORY, dir_fd=image_at)
    try:
        tree_fd = os.open(tree_name, _DIRECTORY, dir_fd=tree_at)
        try:
            yield from _compared(path, image_fd, tree_fd)
        finally:
            os.close(tree_fd)
    finally:
        os.close(image_fd)


def _compared(path: bytes, image_fd: int, tree_fd: int) -> Iterator[Difference]:
    old, new = _entries(image_fd), _entries(tree_fd)
    for name in old.keys() - new.keys():
        yield Difference(path + b"/" + name, Kind.DELETED)
    for name, now in new.items():
        own = path + b"/" + name
        before = old.get(name)
        if before is None:
            yield from _added(own, tree_fd, name, now)
        elif stat.S_ISDIR(before.st_mode) and stat.S_ISDIR(now.st_mode):
            inside = list(_below(own, image_fd, name, tree_fd, name))
            if inside or _owner(before) != _owner(now):
                yield Difference(own, Kind.MODIFIED)
            yield from inside
        elif _content(before) != _content(now):
            yield Difference(own, Kind.MODIFIED)


def _added(path: bytes, parent_fd: int, name: bytes, status: os.stat_result) -> Iterator[Difference]:
    if path in _OF_THE_START:
        return
    yield Difference(path, Kind.ADDED)
    if not stat.S_ISDIR(status.st_mode):
        return
    fd = os.open(name, _DIRECTORY, dir_fd=parent_fd)
    try:
        for below, below_status in _entries(fd).items():
            yield from _added(path + b"/" + below, fd, below, below_status)
    finally:
        os.close(fd)


def _entries(fd: int) -> dict[bytes, os.stat_result]:
    found = {}
    for name in os.listdir(fd):
        try:
            found[os.fsencode(name)] = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:  # removed while we look
            continue
    return found


def _owner(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mode, status.st_uid, status.st_gid


def _content(status: os.stat_result) -> tuple[int, ...]:
    times = () if stat.S_ISLNK(status.st_mode) else (status.st_mtime_ns,)
    return (*_owner(status), status.st_rdev, status.st_size, *times)
