"""Layouts of the protocol's structs: field names, sizes, order; compiled once into `struct.Struct`.

The tables are what the tests hold against the kernel's header. Times are signed here, though the header says
unsigned: the kernel itself reads them so (fs/fuse/inode.c casts to s64), and times before 1970 exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import Struct

__all__ = ["LAYOUTS", "Layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """One struct of the header.

    Attributes:
        name: the struct's name in C.
        fields: field name and format code; an array has a count before the code, padding starts with `_`.
        minor: since when the struct has these fields.
    """

    name: str
    fields: tuple[tuple[str, str], ...]
    minor: int = 1
    struct: Struct = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "struct", Struct("<" + "".join(code for _, code in self.fields)))

    @property
    def size(self) -> int:
        """Bytes."""
        return self.struct.size

    def offsets(self) -> dict[str, int]:
        """Return the offset of each field, padding left out."""
        found, offset = {}, 0
        for name, code in self.fields:
            if not name.startswith("_"):
                found[name] = offset
            offset += Struct("<" + code).size
        return found


def _fields(text: str) -> tuple[tuple[str, str], ...]:
    """Read `name:code name:code …`; a nested struct is written out with its fields as `outer.inner`."""
    pairs = (item.partition(":") for item in text.split())
    return tuple((name, code) for name, _, code in pairs)


_ATTR = (
    "ino:Q size:Q blocks:Q atime:q mtime:q ctime:q atimensec:I mtimensec:I ctimensec:I mode:I nlink:I uid:I gid:I "
    "rdev:I blksize:I flags:I"
)
_LOCK = "start:Q end:Q type:I pid:I"
_SX_TIME = "tv_sec:q tv_nsec:I __reserved:i"


def _nested(prefix: str, text: str) -> str:
    return " ".join(item if item.startswith("_") else f"{prefix}.{item}" for item in text.split())


_STATX = (
    "mask:I blksize:I attributes:Q nlink:I uid:I gid:I mode:H __spare0:2x ino:Q size:Q blocks:Q attributes_mask:Q "
    + " ".join(
        _nested(name, _SX_TIME.replace("__reserved:i", "_reserved:4x")) for name in ("atime", "btime", "ctime", "mtime")
    )
    + " rdev_major:I rdev_minor:I dev_major:I dev_minor:I __spare2:112x"
)
_ENTRY = "nodeid:Q generation:Q entry_valid:Q attr_valid:Q entry_valid_nsec:I attr_valid_nsec:I "
_DIRENT = "ino:Q off:Q namelen:I type:I"

_TABLE: tuple[tuple[str, str, int], ...] = (
    ("fuse_attr", _ATTR, 9),
    ("fuse_statx", _STATX, 39),
    ("fuse_kstatfs", "blocks:Q bfree:Q bavail:Q files:Q ffree:Q bsize:I namelen:I frsize:I _padding:4x _spare:24x", 4),
    ("fuse_file_lock", _LOCK, 7),
    ("fuse_entry_out", _ENTRY + _nested("attr", _ATTR), 9),
    ("fuse_forget_in", "nlookup:Q", 1),
    ("fuse_forget_one", "nodeid:Q nlookup:Q", 16),
    ("fuse_batch_forget_in", "count:I _dummy:4x", 16),
    ("fuse_getattr_in", "getattr_flags:I _dummy:4x fh:Q", 9),
    ("fuse_attr_out", "attr_valid:Q attr_valid_nsec:I _dummy:4x " + _nested("attr", _ATTR), 9),
    ("fuse_statx_in", "getattr_flags:I _reserved:4x fh:Q sx_flags:I sx_mask:I", 39),
    ("fuse_statx_out", "attr_valid:Q attr_valid_nsec:I flags:I _spare:16x " + _nested("stat", _STATX), 39),
    ("fuse_mknod_in", "mode:I rdev:I umask:I _padding:4x", 12),
    ("fuse_mkdir_in", "mode:I umask:I", 12),
    ("fuse_rename_in", "newdir:Q", 1),
    ("fuse_rename2_in", "newdir:Q flags:I _padding:4x", 23),
    ("fuse_link_in", "oldnodeid:Q", 1),
    (
        "fuse_setattr_in",
        "valid:I _padding:4x fh:Q size:Q lock_owner:Q atime:q mtime:q ctime:q atimensec:I mtimensec:I ctimensec:I "
        "mode:I _unused4:4x uid:I gid:I _unused5:4x",
        23,
    ),
    ("fuse_open_in", "flags:I open_flags:I", 33),
    ("fuse_create_in", "flags:I mode:I umask:I open_flags:I", 33),
    ("fuse_open_out", "fh:Q open_flags:I backing_id:i", 40),
    ("fuse_release_in", "fh:Q flags:I release_flags:I lock_owner:Q", 8),
    ("fuse_flush_in", "fh:Q _unused:4x _padding:4x lock_owner:Q", 7),
    ("fuse_read_in", "fh:Q offset:Q size:I read_flags:I lock_owner:Q flags:I _padding:4x", 9),
    ("fuse_write_in", "fh:Q offset:Q size:I write_flags:I lock_owner:Q flags:I _padding:4x", 9),
    ("fuse_write_out", "size:I _padding:4x", 1),
    ("fuse_fsync_in", "fh:Q fsync_flags:I _padding:4x", 1),
    ("fuse_setxattr_in", "size:I flags:I setxattr_flags:I _padding:4x", 33),
    ("fuse_getxattr_in", "size:I _padding:4x", 1),
    ("fuse_getxattr_out", "size:I _padding:4x", 1),
    ("fuse_lk_in", "fh:Q owner:Q " + _nested("lk", _LOCK) + " lk_flags:I _padding:4x", 9),
    ("fuse_lk_out", _nested("lk", _LOCK), 7),
    ("fuse_access_in", "mask:I _padding:4x", 3),
    ("fuse_init_in", "major:I minor:I max_readahead:I flags:I flags2:I _unused:44x", 36),
    (
        "fuse_init_out",
        "major:I minor:I max_readahead:I flags:I max_background:H congestion_threshold:H max_write:I time_gran:I "
        "max_pages:H map_alignment:H flags2:I max_stack_depth:I request_timeout:H _unused:22x",
        43,
    ),
    ("fuse_interrupt_in", "unique:Q", 7),
    ("fuse_ioctl_in", "fh:Q flags:I cmd:I arg:Q in_size:I out_size:I", 16),
    ("fuse_ioctl_out", "result:i flags:I in_iovs:I out_iovs:I", 11),
    ("fuse_poll_in", "fh:Q kh:Q flags:I events:I", 21),
    ("fuse_poll_out", "revents:I _padding:4x", 11),
    ("fuse_fallocate_in", "fh:Q offset:Q length:Q mode:I _padding:4x", 19),
    ("fuse_in_header", "len:I opcode:I unique:Q nodeid:Q uid:I gid:I pid:I total_extlen:H _padding:2x", 38),
    ("fuse_out_header", "len:I error:i unique:Q", 1),
    ("fuse_dirent", _DIRENT, 1),
    ("fuse_direntplus", _nested("entry_out", _ENTRY + _nested("attr", _ATTR)) + " " + _nested("dirent", _DIRENT), 21),
    ("fuse_notify_inval_inode_out", "ino:Q off:q len:q", 12),
    ("fuse_notify_inval_entry_out", "parent:Q namelen:I flags:I", 12),
    ("fuse_notify_delete_out", "parent:Q child:Q namelen:I _padding:4x", 18),
    ("fuse_notify_prune_out", "count:I _padding:4x spare:Q", 45),
    ("fuse_backing_map", "fd:i flags:I padding:Q", 40),
    ("fuse_lseek_in", "fh:Q offset:Q whence:I _padding:4x", 24),
    ("fuse_lseek_out", "offset:Q", 24),
    ("fuse_copy_file_range_in", "fh_in:Q off_in:Q nodeid_out:Q fh_out:Q off_out:Q len:Q flags:Q", 28),
    ("fuse_copy_file_range_out", "bytes_copied:Q", 45),
    ("fuse_syncfs_in", "_padding:8x", 34),
)

LAYOUTS = {name: Layout(name, _fields(text), minor) for name, text, minor in _TABLE}
"""All structs that volfuse reads or writes, by their name in C."""
