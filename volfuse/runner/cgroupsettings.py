"""Limits as the files of a cgroup take them. Pure.

Source: Linux admin-guide/cgroup-v1 and cgroup-v2.rst; the conversion of shares to weights is runc's
(ConvertCPUSharesToCgroupV2Value).
"""

from __future__ import annotations

from collections.abc import Iterator

from volfuse.core.wire import Resources

__all__ = ["Setting", "settings_v1", "settings_v2"]

Setting = tuple[str, str, str]
"""Controller, file, text."""

_PERIOD_US = 100_000
_BILLION = 1_000_000_000


def settings_v1(wanted: Resources) -> Iterator[Setting]:
    """Give what is to be written, in this order; what is not limited is left out.

    A limit of memory together with swap may only be written while it is not below the limit of memory alone.
    """
    if wanted.memory:
        memory = ("memory", "memory.limit_in_bytes", str(wanted.memory))
        with_swap = ("memory", "memory.memsw.limit_in_bytes", str(wanted.memory_swap))
        yield from ([memory, with_swap] if wanted.memory_swap else [memory])
    if wanted.memory_reservation:
        yield "memory", "memory.soft_limit_in_bytes", str(wanted.memory_reservation)
    if wanted.cpu_shares:
        yield "cpu", "cpu.shares", str(wanted.cpu_shares)
    quota_us, period_us = _quota(wanted)
    if period_us:
        yield "cpu", "cpu.cfs_period_us", str(period_us)
    if quota_us:
        yield "cpu", "cpu.cfs_quota_us", str(quota_us)
    yield from _common(wanted)


def settings_v2(wanted: Resources) -> Iterator[Setting]:
    """Give what is to be written."""
    if wanted.memory:
        yield "memory", "memory.max", str(wanted.memory)
        if wanted.memory_swap:
            swap = "max" if wanted.memory_swap < 0 else str(wanted.memory_swap - wanted.memory)
            yield "memory", "memory.swap.max", swap
    if wanted.memory_reservation:
        yield "memory", "memory.low", str(wanted.memory_reservation)
    if wanted.cpu_shares:
        yield "cpu", "cpu.weight", str(1 + (wanted.cpu_shares - 2) * 9999 // 262142)
    quota_us, period_us = _quota(wanted)
    if quota_us or period_us:
        yield "cpu", "cpu.max", f"{quota_us if quota_us > 0 else 'max'} {period_us or _PERIOD_US}"
    yield from _common(wanted)


def _quota(wanted: Resources) -> tuple[int, int]:
    if wanted.nano_cpus:
        return wanted.nano_cpus * _PERIOD_US // _BILLION, _PERIOD_US
    return wanted.cpu_quota, wanted.cpu_period


def _common(wanted: Resources) -> Iterator[Setting]:
    if wanted.cpuset_cpus:
        yield "cpuset", "cpuset.cpus", wanted.cpuset_cpus
    if wanted.cpuset_mems:
        yield "cpuset", "cpuset.mems", wanted.cpuset_mems
    if wanted.pids_limit is not None:
        yield "pids", "pids.max", str(wanted.pids_limit) if wanted.pids_limit > 0 else "max"
