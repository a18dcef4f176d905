"""libfuse 2 through fusepy: structures and functions. The only module that imports `fuse`.

fusepy knows the library's structures on every architecture; that is what is used of it. Its class `FUSE` is not: it
decodes paths as text (names are bytes), installs signal handlers, leaves out flock and fallocate, and cannot be
stopped from another thread. Callbacks here take addresses as numbers, and read or write structures in one step.

Source: include/fuse.h and include/fuse_common.h of libfuse 2.9.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, Protocol

import fuse

from volfuse.fs.descriptors import Caller
from volfuse.fs.view import Attributes
from volfuse.sys.signals import set_default_action

__all__ = [
    "FILLER",
    "SIGNATURES",
    "FileInfo",
    "OpenFile",
    "Operations",
    "caller",
    "entry_stat",
    "fill_stat",
    "fill_statvfs",
    "functions",
    "library",
    "mount",
]

library: Any = fuse._libfuse
# fuse_setup rather than fuse_mount and fuse_new: of fuse_new, dlsym finds the version of 2001.
library.fuse_setup.restype = ctypes.c_void_p
library.fuse_setup.argtypes = [
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_char_p),
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_int),
    ctypes.c_void_p,
]
library.fuse_loop_mt.argtypes = [ctypes.c_void_p]
library.fuse_exit.restype = None
library.fuse_exit.argtypes = [ctypes.c_void_p]
library.fuse_destroy.restype = None
library.fuse_destroy.argtypes = [ctypes.c_void_p]

FileInfo: Any = fuse.fuse_file_info
"""struct fuse_file_info."""

_STAT_SIZE: int = ctypes.sizeof(fuse.c_stat)


class OpenFile(Protocol):
    """Fields of struct fuse_file_info."""

    flags: int
    direct_io: bool
    fh: int
    lock_owner: int


_INT = ctypes.c_int
_PATH = ctypes.c_char_p
_ADDRESS = ctypes.c_void_p
_SIZE = ctypes.c_size_t
_OFFSET = ctypes.c_int64
_U32 = ctypes.c_uint32
_U64 = ctypes.c_uint64

SIGNATURES: dict[str, tuple[Any, ...]] = {
    "getattr": (_PATH, _ADDRESS),
    "readlink": (_PATH, _ADDRESS, _SIZE),
    "mknod": (_PATH, _U32, _U64),
    "mkdir": (_PATH, _U32),
    "unlink": (_PATH,),
    "rmdir": (_PATH,),
    "symlink": (_PATH, _PATH),
    "rename": (_PATH, _PATH),
    "link": (_PATH, _PATH),
    "chmod": (_PATH, _U32),
    "chown": (_PATH, _U32, _U32),
    "truncate": (_PATH, _OFFSET),
    "open": (_PATH, _ADDRESS),
    "read": (_PATH, _ADDRESS, _SIZE, _OFFSET, _ADDRESS),
    "write": (_PATH, _ADDRESS, _SIZE, _OFFSET, _ADDRESS),
    "statfs": (_PATH, _ADDRESS),
    "flush": (_PATH, _ADDRESS),
    "release": (_PATH, _ADDRESS),
    "fsync": (_PATH, _INT, _ADDRESS),
    "setxattr": (_PATH, _PATH, _ADDRESS, _SIZE, _INT),
    "getxattr": (_PATH, _PATH, _ADDRESS, _SIZE),
    "listxattr": (_PATH, _ADDRESS, _SIZE),
    "removexattr": (_PATH, _PATH),
    "opendir": (_PATH, _ADDRESS),
    "readdir": (_PATH, _ADDRESS, _ADDRESS, _OFFSET, _ADDRESS),
    "releasedir": (_PATH, _ADDRESS),
    "fsyncdir": (_PATH, _INT, _ADDRESS),
    "init": (_ADDRESS,),
    "access": (_PATH, _INT),
    "create": (_PATH, _U32, _ADDRESS),
    "ftruncate": (_PATH, _OFFSET, _ADDRESS),
    "fgetattr": (_PATH, _ADDRESS, _ADDRESS),
    "lock": (_PATH, _ADDRESS, _INT, _ADDRESS),
    "utimens": (_PATH, _ADDRESS),
    "flock": (_PATH, _ADDRESS, _INT),
    "fallocate": (_PATH, _INT, _OFFSET, _OFFSET, _ADDRESS),
}
"""The operations served, and their arguments; structures and memory are addresses."""

FILLER = ctypes.CFUNCTYPE(_INT, _ADDRESS, _PATH, _ADDRESS, _OFFSET)
"""fuse_fill_dir_t: takes one directory entry."""


def _fields() -> Iterable[tuple[Any, ...]]:
    """Yield fusepy's fields with functions as plain pointers, and those that the library has after them."""
    for field in fuse.fuse_operations._fields_:
        yield field if field[0].startswith("flag_") else (field[0], _ADDRESS)
    for name in ("poll", "write_buf", "read_buf", "flock", "fallocate"):
        yield (name, _ADDRESS)


class Operations(ctypes.Structure):
    """struct fuse_operations of libfuse 2.9."""

    _fields_ = tuple(_fields())


def functions(handlers: dict[str, Callable[..., int]]) -> tuple[Operations, list[Any]]:
    """Return the operations with `handlers` set, and the function objects, which must be kept while they are in use."""
    operations = Operations()
    kept = []
    for name, handler in handlers.items():
        result = _ADDRESS if name == "init" else _INT
        function = ctypes.CFUNCTYPE(result, *SIGNATURES[name])(handler)
        kept.append(function)
        setattr(operations, name, ctypes.cast(function, _ADDRESS))
    return operations, kept


def caller() -> Caller:
    """Return who made the request that this thread answers."""
    context = library.fuse_get_context().contents
    return Caller(context.uid, context.gid, context.pid)


def _stat_layout() -> tuple[struct.Struct, Callable[[tuple[int, ...]], tuple[int, ...]]]:
    """Return the layout of struct stat here, and how to order (ino, mode, nlink, … as in `fill_stat`) for it."""
    order = {"st_ino": 0, "st_mode": 1, "st_nlink": 2, "st_uid": 3, "st_gid": 4, "st_rdev": 5, "st_size": 6}
    order |= {"st_blksize": 7, "st_blocks": 8, "st_atimespec": 9, "st_mtimespec": 11, "st_ctimespec": 13}
    layout, picked, position = "=", [], 0
    for name, *_ in sorted(fuse.c_stat._fields_, key=lambda field: getattr(fuse.c_stat, field[0]).offset):
        field = getattr(fuse.c_stat, name)
        if name not in order:
            continue
        layout += f"{field.offset - position}x"
        position = field.offset + field.size
        picked.append(order[name])
        if name.endswith("timespec"):
            layout += "qq" if field.size == 16 else "ii"
            picked.append(order[name] + 1)
        else:
            layout += {4: "I", 8: "q" if name == "st_size" else "Q"}[field.size]
    layout += f"{_STAT_SIZE - position}x"
    return struct.Struct(layout), itemgetter(*picked)


_STAT, _ORDERED = _stat_layout()


def fill_stat(address: int, attributes: Attributes, extra_links: int = 0) -> None:
    """Write struct stat."""
    inode, status = attributes
    values = (
        inode,
        status.st_mode,
        status.st_nlink + extra_links,
        status.st_uid,
        status.st_gid,
        status.st_rdev,
        status.st_size,
        status.st_blksize,
        status.st_blocks,
        *divmod(status.st_atime_ns, 1_000_000_000),
        *divmod(status.st_mtime_ns, 1_000_000_000),
        *divmod(status.st_ctime_ns, 1_000_000_000),
    )
    ctypes.memmove(address, _STAT.pack(*_ORDERED(values)), _STAT_SIZE)


def entry_stat(inode: int, mode: int) -> bytes:
    """Return a struct stat that holds only what a directory entry shows."""
    return _STAT.pack(*_ORDERED((inode, mode, *(0,) * 13)))


def fill_statvfs(address: int, figures: os.statvfs_result) -> None:
    """Write struct statvfs."""
    target = fuse.c_statvfs.from_address(address)
    for name in ("bsize", "frsize", "blocks", "bfree", "bavail", "files", "ffree", "favail", "flag", "namemax"):
        setattr(target, "f_" + name, getattr(figures, "f_" + name))


_TAKEN = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def mount(mountpoint: bytes, options: str, operations: Operations) -> int | None:
    """Mount and return the session, or None; libfuse says why on stderr."""
    # libfuse takes over the signals that nobody has a handler for, to end its loop. They are the process's own
    # business. (Its function that gives them back would also let SIGPIPE end the process.)
    taken = [number for number in _TAKEN if signal.getsignal(number) is signal.SIG_DFL]
    words = [b"volfuse", b"-f", b"-o", options.encode(), mountpoint]
    parsed, threaded = ctypes.c_void_p(), ctypes.c_int()
    session: int | None = library.fuse_setup(
        len(words),
        (ctypes.c_char_p * len(words))(*words),
        ctypes.byref(operations),
        ctypes.sizeof(Operations),
        ctypes.byref(parsed),
        ctypes.byref(threaded),
        None,
    )
    for number in taken:
        set_default_action(number)
    return session
