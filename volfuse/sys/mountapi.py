"""The mount API of Linux 5.2: file systems as descriptors, attached to a path or to none.

A descriptor of `fsmount` is the root of a mount that no namespace shows; the mount ends with its last descriptor.
It is opened O_PATH: to list it, open `b"."` relative to it. Numbers of these calls are the same on all architectures
that CPython supports.

Source: fsopen(2), fsconfig(2), fsmount(2), move_mount(2), open_tree(2); include/uapi/linux/mount.h.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Final

__all__ = [
    "MOUNT_ATTR_NODEV",
    "MOUNT_ATTR_NOEXEC",
    "MOUNT_ATTR_NOSUID",
    "MOUNT_ATTR_RDONLY",
    "MOVE_MOUNT_F_EMPTY_PATH",
    "MOVE_MOUNT_T_SYMLINKS",
    "OPEN_TREE_CLOEXEC",
    "OPEN_TREE_CLONE",
    "detached_mount",
    "fsmount",
    "fsopen",
    "move_mount",
    "open_tree",
]

OPEN_TREE_CLONE: Final = 1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x4
MOVE_MOUNT_T_SYMLINKS: Final = 0x10
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_FSOPEN_CLOEXEC = 0x1
_FSMOUNT_CLOEXEC = 0x1
_FSCONFIG_SET_FLAG, _FSCONFIG_SET_STRING, _FSCONFIG_CMD_CREATE = 0, 1, 6
_LOG_LINE_BYTES = 4096

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def fsopen(fstype: bytes) -> int:
    """Open a context for a new file system of this type. The caller owns the descriptor."""
    return _call(_FSOPEN, ctypes.c_char_p(fstype), ctypes.c_uint(_FSOPEN_CLOEXEC))


def fsmount(context_fd: int, attributes: int = 0) -> int:
    """Make a detached mount of a created file system. The caller owns the O_PATH descriptor of its root."""
    return _call(_FSMOUNT, ctypes.c_int(context_fd), ctypes.c_uint(_FSMOUNT_CLOEXEC), ctypes.c_uint(attributes))


def open_tree(dir_fd: int, path: bytes, flags: int) -> int:
    """Open a mount's tree at `path`, with OPEN_TREE_CLONE a detached copy of it. The caller owns the descriptor."""
    return _call(_OPEN_TREE, ctypes.c_int(dir_fd), ctypes.c_char_p(path), ctypes.c_uint(flags))


def move_mount(from_fd: int, from_path: bytes, to_fd: int, to_path: bytes, flags: int) -> None:
    """Attach a detached mount, or move an attached one, to a path."""
    _call(
        _MOVE_MOUNT,
        ctypes.c_int(from_fd),
        ctypes.c_char_p(from_path),
        ctypes.c_int(to_fd),
        ctypes.c_char_p(to_path),
        ctypes.c_uint(flags),
    )


def detached_mount(fstype: bytes, options: Mapping[bytes, bytes | None], attributes: int = 0) -> int:
    """Create a file system and mount it nowhere.

    Args:
        options: mount options; None for one without a value. A value is at most 255 bytes long (fsconfig(2)).

    Returns:
        int: an O_PATH descriptor of the root that the caller owns; closing it ends the mount.

    Raises:
        OSError: with what the kernel wrote to the context's log, if anything, as its text.
    """
    context_fd = fsopen(fstype)
    try:
        for key, value in options.items():
            _configure(context_fd, _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING, key, value)
        _configure(context_fd, _FSCONFIG_CMD_CREATE, None, None)
        return fsmount(context_fd, attributes)
    except OSError as exc:
        log = _read_log(context_fd)
        if not log or exc.errno is None:
            raise
        raise OSError(exc.errno, f"{os.strerror(exc.errno)} ({log})") from exc
    finally:
        os.close(context_fd)


def _configure(context_fd: int, command: int, key: bytes | None, value: bytes | None) -> None:
    _call(
        _FSCONFIG,
        ctypes.c_int(context_fd),
        ctypes.c_uint(command),
        ctypes.c_char_p(key),
        ctypes.c_char_p(value),
        ctypes.c_int(0),
    )


def _read_log(context_fd: int) -> str:
    lines: list[bytes] = []
    while True:
        try:
            line = os.read(context_fd, _LOG_LINE_BYTES)
        except OSError:  # ENODATA: the log is read to its end
            break
        if not line:
            break
        lines.append(line.strip())
    return os.fsdecode(b"; ".join(lines))


def _call(number: int, *arguments: object) -> int:
    result: int = _syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
