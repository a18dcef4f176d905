"""Flags of the protocol by the kernel's names. Source: include/uapi/linux/fuse.h."""

from __future__ import annotations

from enum import IntFlag

__all__ = [
    "FATTR",
    "FOPEN",
    "FUSE_EXPIRE_ONLY",
    "FUSE_FSYNC_FDATASYNC",
    "FUSE_GETATTR_FH",
    "FUSE_IOCTL_DIR",
    "FUSE_LK_FLOCK",
    "FUSE_OPEN_KILL_SUIDGID",
    "FUSE_RELEASE_FLOCK_UNLOCK",
    "FUSE_RELEASE_FLUSH",
    "FUSE_SETXATTR_ACL_KILL_SGID",
    "FUSE_UNIQUE_RESEND",
    "FUSE_WRITE_KILL_SUIDGID",
    "INIT_FLAG_MINOR",
    "Init",
]


class Init(IntFlag):
    """fuse_init_in and fuse_init_out: `flags`, and above bit 31 `flags2`."""

    ASYNC_READ = 1 << 0
    POSIX_LOCKS = 1 << 1
    FILE_OPS = 1 << 2
    ATOMIC_O_TRUNC = 1 << 3
    EXPORT_SUPPORT = 1 << 4
    BIG_WRITES = 1 << 5
    DONT_MASK = 1 << 6
    SPLICE_WRITE = 1 << 7
    SPLICE_MOVE = 1 << 8
    SPLICE_READ = 1 << 9
    FLOCK_LOCKS = 1 << 10
    HAS_IOCTL_DIR = 1 << 11
    AUTO_INVAL_DATA = 1 << 12
    DO_READDIRPLUS = 1 << 13
    READDIRPLUS_AUTO = 1 << 14
    ASYNC_DIO = 1 << 15
    WRITEBACK_CACHE = 1 << 16
    NO_OPEN_SUPPORT = 1 << 17
    PARALLEL_DIROPS = 1 << 18
    HANDLE_KILLPRIV = 1 << 19
    POSIX_ACL = 1 << 20
    ABORT_ERROR = 1 << 21
    MAX_PAGES = 1 << 22
    CACHE_SYMLINKS = 1 << 23
    NO_OPENDIR_SUPPORT = 1 << 24
    EXPLICIT_INVAL_DATA = 1 << 25
    MAP_ALIGNMENT = 1 << 26
    SUBMOUNTS = 1 << 27
    HANDLE_KILLPRIV_V2 = 1 << 28
    SETXATTR_EXT = 1 << 29
    INIT_EXT = 1 << 30
    SECURITY_CTX = 1 << 32
    HAS_INODE_DAX = 1 << 33
    CREATE_SUPP_GROUP = 1 << 34
    HAS_EXPIRE_ONLY = 1 << 35
    DIRECT_IO_ALLOW_MMAP = 1 << 36
    PASSTHROUGH = 1 << 37
    NO_EXPORT_SUPPORT = 1 << 38
    HAS_RESEND = 1 << 39
    ALLOW_IDMAP = 1 << 40
    OVER_IO_URING = 1 << 41
    REQUEST_TIMEOUT = 1 << 42


INIT_FLAG_MINOR = {
    Init.FLOCK_LOCKS: 17,
    Init.HAS_IOCTL_DIR: 18,
    Init.AUTO_INVAL_DATA: 20,
    Init.DO_READDIRPLUS: 21,
    Init.READDIRPLUS_AUTO: 21,
    Init.ASYNC_DIO: 22,
    Init.WRITEBACK_CACHE: 23,
    Init.NO_OPEN_SUPPORT: 23,
    Init.PARALLEL_DIROPS: 25,
    Init.HANDLE_KILLPRIV: 26,
    Init.POSIX_ACL: 26,
    Init.ABORT_ERROR: 27,
    Init.MAX_PAGES: 28,
    Init.CACHE_SYMLINKS: 28,
    Init.NO_OPENDIR_SUPPORT: 29,
    Init.EXPLICIT_INVAL_DATA: 30,
    Init.MAP_ALIGNMENT: 31,
    Init.SUBMOUNTS: 32,
    Init.HANDLE_KILLPRIV_V2: 33,
    Init.SETXATTR_EXT: 33,
    Init.INIT_EXT: 36,
    Init.SECURITY_CTX: 36,
    Init.HAS_INODE_DAX: 36,
    Init.CREATE_SUPP_GROUP: 38,
    Init.HAS_EXPIRE_ONLY: 38,
    Init.DIRECT_IO_ALLOW_MMAP: 39,
    Init.PASSTHROUGH: 40,
    Init.NO_EXPORT_SUPPORT: 40,
    Init.HAS_RESEND: 40,
    Init.ALLOW_IDMAP: 41,
    Init.OVER_IO_URING: 42,
    Init.REQUEST_TIMEOUT: 43,
}
"""The minor that brought a flag, where a version that volfuse speaks may lack it."""


class FATTR(IntFlag):
    """fuse_setattr_in.valid."""

    MODE = 1 << 0
    UID = 1 << 1
    GID = 1 << 2
    SIZE = 1 << 3
    ATIME = 1 << 4
    MTIME = 1 << 5
    FH = 1 << 6
    ATIME_NOW = 1 << 7
    MTIME_NOW = 1 << 8
    LOCKOWNER = 1 << 9
    CTIME = 1 << 10
    KILL_SUIDGID = 1 << 11


class FOPEN(IntFlag):
    """fuse_open_out.open_flags."""

    DIRECT_IO = 1 << 0
    KEEP_CACHE = 1 << 1
    NONSEEKABLE = 1 << 2
    CACHE_DIR = 1 << 3
    STREAM = 1 << 4
    NOFLUSH = 1 << 5
    PARALLEL_DIRECT_WRITES = 1 << 6
    PASSTHROUGH = 1 << 7


FUSE_RELEASE_FLUSH = 1 << 0
FUSE_RELEASE_FLOCK_UNLOCK = 1 << 1
FUSE_GETATTR_FH = 1 << 0
FUSE_LK_FLOCK = 1 << 0
FUSE_WRITE_KILL_SUIDGID = 1 << 2
FUSE_IOCTL_DIR = 1 << 4
FUSE_FSYNC_FDATASYNC = 1 << 0
FUSE_OPEN_KILL_SUIDGID = 1 << 0
FUSE_SETXATTR_ACL_KILL_SGID = 1 << 0
FUSE_EXPIRE_ONLY = 1 << 0
FUSE_UNIQUE_RESEND = 1 << 63
