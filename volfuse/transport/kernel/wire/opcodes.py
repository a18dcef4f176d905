"""Opcodes and notification codes, with the protocol minor each came with.

Source: include/uapi/linux/fuse.h, enum fuse_opcode, enum fuse_notify_code and its changelog.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["CHANGING", "NEEDS_MINOR", "NOTIFY_NEEDS_MINOR", "NO_REPLY", "Notify", "Opcode"]


class Opcode(IntEnum):
    """What a request asks for: fuse_in_header.opcode."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    READLINK = 5
    SYMLINK = 6
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    SETXATTR = 21
    GETXATTR = 22
    LISTXATTR = 23
    REMOVEXATTR = 24
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    GETLK = 31
    SETLK = 32
    SETLKW = 33
    ACCESS = 34
    CREATE = 35
    INTERRUPT = 36
    BMAP = 37
    DESTROY = 38
    IOCTL = 39
    POLL = 40
    NOTIFY_REPLY = 41
    BATCH_FORGET = 42
    FALLOCATE = 43
    READDIRPLUS = 44
    RENAME2 = 45
    LSEEK = 46
    COPY_FILE_RANGE = 47
    SETUPMAPPING = 48
    REMOVEMAPPING = 49
    SYNCFS = 50
    TMPFILE = 51
    STATX = 52
    COPY_FILE_RANGE_64 = 53


class Notify(IntEnum):
    """What a message without a request says: fuse_out_header.error of a message whose unique is 0."""

    POLL = 1
    INVAL_INODE = 2
    INVAL_ENTRY = 3
    STORE = 4
    RETRIEVE = 5
    DELETE = 6
    RESEND = 7
    INC_EPOCH = 8
    PRUNE = 9


CHANGING = frozenset(
    {
        Opcode.SETATTR,
        Opcode.SYMLINK,
        Opcode.MKNOD,
        Opcode.MKDIR,
        Opcode.UNLINK,
        Opcode.RMDIR,
        Opcode.RENAME,
        Opcode.LINK,
        Opcode.OPEN,
        Opcode.WRITE,
        Opcode.RELEASE,
        Opcode.SETXATTR,
        Opcode.REMOVEXATTR,
        Opcode.CREATE,
        Opcode.IOCTL,
        Opcode.FALLOCATE,
        Opcode.RENAME2,
        Opcode.COPY_FILE_RANGE,
        Opcode.COPY_FILE_RANGE_64,
        Opcode.TMPFILE,
    }
)
"""Requests that may change something in a source; opening may truncate."""

NO_REPLY = frozenset({Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT, Opcode.NOTIFY_REPLY})
"""Requests that the kernel does not wait for; an answer to FORGET would be taken for another request's."""

_FIRST_MINOR = {
    Opcode.FSYNCDIR: 2,
    Opcode.ACCESS: 3,
    Opcode.CREATE: 3,
    Opcode.GETLK: 7,
    Opcode.SETLK: 7,
    Opcode.SETLKW: 7,
    Opcode.INTERRUPT: 7,
    Opcode.BMAP: 8,
    Opcode.DESTROY: 8,
    Opcode.IOCTL: 11,
    Opcode.POLL: 11,
    Opcode.NOTIFY_REPLY: 15,
    Opcode.BATCH_FORGET: 16,
    Opcode.FALLOCATE: 19,
    Opcode.READDIRPLUS: 21,
    Opcode.RENAME2: 23,
    Opcode.LSEEK: 24,
    Opcode.COPY_FILE_RANGE: 28,
    Opcode.SETUPMAPPING: 31,
    Opcode.REMOVEMAPPING: 31,
    Opcode.SYNCFS: 34,
    Opcode.TMPFILE: 37,
    Opcode.STATX: 39,
    Opcode.COPY_FILE_RANGE_64: 45,
}

NEEDS_MINOR = {opcode: _FIRST_MINOR.get(opcode, 1) for opcode in Opcode}
"""The first minor whose kernel sends the request."""

NOTIFY_NEEDS_MINOR = {
    Notify.POLL: 11,
    Notify.INVAL_INODE: 12,
    Notify.INVAL_ENTRY: 12,
    Notify.STORE: 15,
    Notify.RETRIEVE: 15,
    Notify.DELETE: 18,
    Notify.RESEND: 40,
    Notify.INC_EPOCH: 44,
    Notify.PRUNE: 45,
}
"""The first minor whose kernel takes the notification."""
