"""Places in a container's tree that a program's start puts mounts on, and the list of mounts (moby setupInitLayer)."""

from __future__ import annotations

import os

from volfuse.engine.rootpath import follow, make_directories, open_directory

__all__ = ["make_places"]

_DIRECTORIES = (b"/dev", b"/etc", b"/proc", b"/sys")
_FILES = (b"hostname", b"hosts", b"resolv.conf")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def make_places(root_fd: int) -> list[bytes]:
    """Make what is missing; return the paths of what was made. Where an image has something else, that stays."""
    made = [path for path in _DIRECTORIES if _make_directory(root_fd, path)]
    try:
        etc_fd = open_directory(root_fd, b"/etc")
    except NotADirectoryError:
        return made
    try:
        made += [b"/etc/" + name for name in _FILES if _make_file(etc_fd, name)]
        return made + ([b"/etc/mtab"] if _make_link(etc_fd, b"mtab", b"/proc/mounts") else [])
    finally:
        os.close(etc_fd)


def _make_directory(root_fd: int, path: bytes) -> bool:
    try:
        os.stat(b"/".join(follow(root_fd, path)), dir_fd=root_fd, follow_symlinks=False)
    except FileNotFoundError:
        make_directories(root_fd, path)
        return True
    except NotADirectoryError:
        pass
    return False


def _make_file(etc_fd: int, name: bytes) -> bool:
    try:
        os.close(os.open(name, _NEW, 0o644, dir_fd=etc_fd))
    except FileExistsError:
        return False
    return True


def _make_link(etc_fd: int, name: bytes, target: bytes) -> bool:
    try:
        os.symlink(target, name, dir_fd=etc_fd)
    except FileExistsError:
        return False
    return True
