"""The command line of bubblewrap for a sandbox. Pure.

bubblewrap makes the namespaces and mounts; the process namespace, the user and the limits are the launcher's business,
since bubblewrap as root has no way to become another user. The command it is given is `/`, which cannot be executed:
by the time it is tried all is mounted and the launcher holds the namespaces (`sandbox.build`).
"""

from __future__ import annotations

from collections.abc import Iterator

from volfuse.core.runplan import Sandbox

__all__ = ["bubblewrap_arguments", "maskable", "trial_arguments"]

_MASKED = ("/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug")
"""Files that say much about the host (moby oci/defaults.go, MaskedPaths)."""

_SHM_MODE = "1777"


def bubblewrap_arguments(
    sandbox: Sandbox, *, pid_namespace_fd: int, info_fd: int, block_fd: int, masked: frozenset[str]
) -> list[str]:
    """Return the arguments behind `bwrap`.

    Args:
        pid_namespace_fd: the process namespace that /proc shall show.
        info_fd: where bubblewrap writes the id of its child.
        block_fd: what the child reads a byte from when all is mounted.
        masked: the files among those to be masked that this kernel has.
    """
    numbers = (("--pidns", pid_namespace_fd), ("--info-fd", info_fd), ("--block-fd", block_fd))
    return [*_options(sandbox, masked), *(word for name, fd in numbers for word in (name, str(fd))), "--", "/"]


def trial_arguments() -> list[str]:
    """Return the arguments that show whether bubblewrap can make such sandboxes here: they run `true` in one."""
    return [*_options(Sandbox(name="", view="/", hostname="trial"), frozenset()), "--", "true"]


def _options(sandbox: Sandbox, masked: frozenset[str]) -> Iterator[str]:
    yield from ("--unshare-ipc", "--unshare-uts", "--hostname", sandbox.hostname)
    if not sandbox.host_network:
        yield "--unshare-net"
    yield from ("--bind", sandbox.view, "/", "--proc", "/proc", "--dev", "/dev", "--mqueue", "/dev/mqueue")
    yield from ("--perms", _SHM_MODE, "--size", str(sandbox.shm_bytes), "--tmpfs", "/dev/shm")
    for path in _MASKED:
        if path in masked:
            yield from ("--ro-bind", "/dev/null", path)
    for mount in sorted(sandbox.mounts, key=lambda m: (m.destination.count("/"), m.destination)):
        option = "--ro-bind" if mount.read_only else "--bind"
        yield from (option, sandbox.view.rstrip("/") + mount.destination, mount.destination)
    if sandbox.read_only:
        yield from ("--remount-ro", "/")


def maskable() -> tuple[str, ...]:
    """Return the files that are masked where they exist."""
    return _MASKED
