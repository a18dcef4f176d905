"""Namespaces and what a process may do to itself: unshare(2), setns(2), prctl(2).

Python has the first two from 3.12 on.
"""

from __future__ import annotations

import ctypes

from volfuse.sys.libc import LIBC, failed

__all__ = [
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "deny_new_privileges",
    "die_with_parent",
    "drop_from_bounding_set",
    "set_domain_name",
    "setns",
    "unshare",
]

# include/uapi/linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# include/uapi/linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38


def unshare(flags: int) -> None:
    """Leave namespaces for new ones; with CLONE_NEWPID it is the next child that does."""
    if LIBC.unshare(flags) != 0:
        raise failed()


def setns(fd: int, flags: int) -> None:
    """Enter a namespace by its descriptor, or several of a process by its pidfd (Linux 5.8)."""
    if LIBC.setns(fd, flags) != 0:
        raise failed()


def set_domain_name(name: bytes) -> None:
    """Set the NIS domain name of this process' UTS namespace (setdomainname(2)): at most 64 bytes."""
    if LIBC.setdomainname(name, ctypes.c_size_t(len(name))) != 0:
        raise failed()


def die_with_parent(number: int) -> None:
    """Get a signal when the parent ends. Forgotten when the user changes: call it again after that."""
    _prctl(_PR_SET_PDEATHSIG, number)


def drop_from_bounding_set(capability: int) -> None:
    """Give up a capability for this process and all that it becomes; needs CAP_SETPCAP."""
    _prctl(_PR_CAPBSET_DROP, capability)


def deny_new_privileges() -> None:
    """Let no program give this process more rights, by set-user-id or otherwise."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    if LIBC.prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        raise failed()
