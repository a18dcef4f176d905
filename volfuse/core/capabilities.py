"""Capabilities of programs in containers: Docker's default set, and what a request adds and drops.

Source: include/uapi/linux/capability.h; moby oci/caps/defaults.go and oci/caps/utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from volfuse.errors import InvalidSpec

__all__ = ["ALL", "DEFAULT", "capability_numbers"]

ALL = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
"""All names, without `CAP_`, at the index that is their number."""

DEFAULT = frozenset({
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
})  # fmt: skip
"""What Docker gives a container that asks for nothing."""


def capability_numbers(
    add: Iterable[str] | None, drop: Iterable[str] | None, *, privileged: bool = False
) -> tuple[int, ...]:
    """Return the numbers of the capabilities that a container's programs may have.

    Args:
        add: names with or without `CAP_`, in any case; `ALL` for all. What is added and dropped both is dropped,
            unless the drop says ALL.
        drop: likewise.

    Raises:
        InvalidSpec: an unknown name.
    """
    if privileged:
        return tuple(range(len(ALL)))
    added, dropped = _names(add), _names(drop)
    kept: set[str] | frozenset[str]
    if "ALL" in dropped:
        kept = added - {"ALL"} if "ALL" not in added else set(ALL)
    elif "ALL" in added:
        kept = set(ALL) - dropped
    else:
        kept = (DEFAULT | added) - dropped
    return tuple(number for number, name in enumerate(ALL) if name in kept)


def _names(given: Iterable[str] | None) -> set[str]:
    names = {name.upper().removeprefix("CAP_") for name in given or ()}
    for name in sorted(names):
        if name != "ALL" and name not in ALL:
            raise InvalidSpec(f'unknown capability: "CAP_{name}"')
    return names
