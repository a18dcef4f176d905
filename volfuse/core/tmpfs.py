"""Options of tmpfs mounts: those of `--tmpfs DIR:OPTIONS` and those of `--mount type=tmpfs`.

Docker hands the first kind to the kernel behind `noexec,nosuid,nodev`; of two that contradict, the later counts. The
value here keeps the size and the mode by themselves and everything else as it was written.

Source: docker-semantics 2.3; moby daemon/oci_linux.go; github.com/moby/sys/mount, MergeTmpfsOptions; `man 5 tmpfs`.
"""

from __future__ import annotations

import re

from volfuse.core.wire import TmpfsOptions
from volfuse.errors import InvalidSpec

__all__ = ["is_read_only", "mount_options_problem", "parse_tmpfs_options"]

_FLAGS = frozenset({
    "defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "dirsync",
    "remount", "mand", "nomand", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime",
    "strictatime", "nostrictatime", "bind", "rbind", "unbindable", "runbindable", "private", "rprivate", "shared",
    "rshared", "slave", "rslave",
})  # fmt: skip
_VALUES = {
    "size": re.compile(r"(\d+)([kmgtpe%]?)\Z", re.IGNORECASE | re.ASCII),
    "mode": re.compile(r"[0-7]{1,5}\Z"),
    "uid": re.compile(r"\d{1,10}\Z", re.ASCII),
    "gid": re.compile(r"\d{1,10}\Z", re.ASCII),
    "nr_inodes": re.compile(r"\d+[kmgtpe]?\Z", re.IGNORECASE | re.ASCII),
    "nr_blocks": re.compile(r"\d+[kmgtpe]?\Z", re.IGNORECASE | re.ASCII),
    "mpol": re.compile(r".+\Z"),
}


def parse_tmpfs_options(text: str) -> TmpfsOptions:
    """Return the options of `--tmpfs DIR:text`; a size in per cent of the memory stays among `options`.

    Raises:
        InvalidSpec: an option that Docker does not hand on, or a value that the kernel would refuse.
    """
    size_bytes = mode = 0
    options: list[list[str]] = []
    for item in text.split(",") if text else ():
        name, equals, value = item.partition("=")
        _check_option(item, name, value if equals else None)
        if name == "size" and not value.endswith("%"):
            size_bytes = _kernel_size(value)
        elif name == "mode":
            mode = int(value, 8)
        elif item != "defaults":
            options.append([name, value] if equals else [name])
    return TmpfsOptions(size_bytes=size_bytes, mode=mode, options=options)


def is_read_only(options: TmpfsOptions) -> bool:
    """Tell whether the last word on access is `ro`."""
    access = [option[0] for option in options.options if option[0] in ("ro", "rw")]
    return access[-1:] == ["ro"]


def mount_options_problem(options: TmpfsOptions | None) -> str:
    """Return what is wrong with the options of a `--mount type=tmpfs`, or nothing."""
    for option in options.options if options else ():
        if not 1 <= len(option) <= 2:
            return "invalid option array length"
        if option[0] not in ("exec", "noexec"):
            return f"invalid option: {option[0]}"
    return ""


def _check_option(item: str, name: str, value: str | None) -> None:
    known = item in _FLAGS if value is None else name in _VALUES and bool(_VALUES[name].match(value))
    if not known:
        shown = [name] if value is None else [name, value]
        raise InvalidSpec("invalid tmpfs option [" + " ".join(f'"{part}"' for part in shown) + "]")


def _kernel_size(text: str) -> int:
    found = _VALUES["size"].match(text)
    assert found is not None  # checked before
    number, unit = found.groups()
    return int(number) << (10 * ("kmgtpe".index(unit.lower()) + 1) if unit else 0)
