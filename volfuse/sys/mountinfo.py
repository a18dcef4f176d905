"""/proc/self/mountinfo, parsed (man 5 proc_pid_mountinfo)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

__all__ = ["MountInfo", "mount_at", "parse_mountinfo", "read_mountinfo"]

_OCTAL = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class MountInfo:
    """One mount of this mount namespace.

    Attributes:
        device: st_dev of what it shows.
        root: directory of the file system that is mounted.
        optional: tagged fields such as `shared:2`.
    """

    mount_id: int
    parent_id: int
    device: int
    root: bytes
    mount_point: bytes
    options: bytes
    optional: tuple[bytes, ...]
    fs_type: bytes
    source: bytes
    super_options: bytes


def read_mountinfo() -> list[MountInfo]:
    """Return all mounts, in the kernel's order: of two on one path the later one is on top."""
    with open("/proc/self/mountinfo", "rb") as file:
        return parse_mountinfo(file.read())


def mount_at(path: bytes) -> MountInfo | None:
    """Return the topmost mount whose mount point is `path` (absolute, without links)."""
    found = None
    for mount in read_mountinfo():
        if mount.mount_point == path:
            found = mount
    return found


def parse_mountinfo(text: bytes) -> list[MountInfo]:
    """Return the mounts of a mountinfo file."""
    return [_parse_line(line) for line in text.splitlines()]


def _parse_line(line: bytes) -> MountInfo:
    fields = line.split(b" ")
    dash = fields.index(b"-", 6)
    major, minor = fields[2].split(b":")
    return MountInfo(
        mount_id=int(fields[0]),
        parent_id=int(fields[1]),
        device=os.makedev(int(major), int(minor)),
        root=_unescape(fields[3]),
        mount_point=_unescape(fields[4]),
        options=fields[5],
        optional=tuple(fields[6:dash]),
        fs_type=_unescape(fields[dash + 1]),
        source=_unescape(fields[dash + 2]),
        super_options=fields[dash + 3],
    )


def _unescape(field: bytes) -> bytes:
    """Undo the octal escapes of space, tab, newline and backslash."""
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), field)
