"""Limits of resources: which may be asked for, and what is said where the machine cannot set one.

A limit that cannot be set is discarded with a warning, so that what only wants to share volumes runs all the same.

Source: moby daemon/daemon_unix.go (verifyPlatformContainerResources, adaptContainerSettings) and
container/container_unix.go (UpdateContainer), with their words. There `--cpus` is refused where it cannot be set.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import TypeVar

import msgspec

from volfuse.core.wire import Resources
from volfuse.errors import Conflict, InvalidSpec

__all__ = ["Controller", "limited", "updated"]

_MINIMUM_BYTES = 6 * 1024 * 1024
_SHARES = (2, 262144)
_PERIODS_US = (1000, 1000000)
_SHORTEST_QUOTA_US = 1000
_BILLION = 1_000_000_000


class Controller(StrEnum):
    """What a machine may be able to limit; swap is part of the kernel's memory controller where it is counted."""

    MEMORY = "memory"
    SWAP = "swap"
    CPU = "cpu"
    CPUSET = "cpuset"
    PIDS = "pids"


_UNMOUNTED = "or the cgroup is not mounted"

_DOCKERS: tuple[tuple[Controller, tuple[str, ...], str, str], ...] = (
    (Controller.MEMORY, ("memory", "memory_swap"), f"memory limit capabilities {_UNMOUNTED}", "Limitation"),
    (Controller.MEMORY, ("memory_reservation",), f"memory soft limit capabilities {_UNMOUNTED}", "Limitation"),
    (Controller.PIDS, ("pids_limit",), f"PIDs limit capabilities {_UNMOUNTED}", "PIDs limit"),
    (Controller.CPU, ("nano_cpus",), f"CPU CFS scheduler {_UNMOUNTED}", "NanoCPUs"),
    (Controller.CPU, ("cpu_shares",), f"CPU shares {_UNMOUNTED}", "Shares"),
    (Controller.CPU, ("cpu_period", "cpu_quota"), "CPU CFS scheduler", "CPU period/quota"),
    (Controller.CPUSET, ("cpuset_cpus", "cpuset_mems"), f"cpuset {_UNMOUNTED}", "Cpuset"),
)
"""What has to be there, the fields that ask for it, what the kernel lacks otherwise, and what is discarded then."""

_NEVER = {
    "memory_swappiness": "memory swappiness",
    "oom_kill_disable": "disabling the OOM killer",
    "kernel_memory": "limits of kernel memory",
    "cpu_realtime_period": "real-time periods",
    "cpu_realtime_runtime": "real-time runtimes",
    "cpu_percent": "CPU percent",
    "blkio_weight": "weights of block I/O",
    "blkio_weight_device": "weights of block I/O",
    "blkio_device_read_bps": "limits of block I/O",
    "blkio_device_write_bps": "limits of block I/O",
    "blkio_device_read_iops": "limits of block I/O",
    "blkio_device_write_iops": "limits of block I/O",
}
"""Fields of limits that volfuse never sets."""

R = TypeVar("R", bound=Resources)


def limited(
    wanted: R, controllers: Collection[Controller], processors: int, *, update: bool = False
) -> tuple[R, list[str]]:
    """Return the limits that are to be set, and warnings about those that cannot be.

    Args:
        controllers: what this machine can limit.
        processors: how many it has.
        update: the limits change those of a container, so that 0 means no change.

    Raises:
        InvalidSpec: a value that is not possible, or two that do not go together.
    """
    _check_sizes(wanted)
    kept, warnings = _discard(wanted, controllers)
    if kept.memory > 0 and kept.memory_swap != -1 and Controller.SWAP not in controllers:
        warnings.append(
            f"Your kernel does not support swap limit capabilities {_UNMOUNTED}. Memory limited without swap."
        )
        kept = msgspec.structs.replace(kept, memory_swap=-1)
    _check_memory(kept, update=update)
    _check_processors(kept, processors)
    if kept.memory > 0 and kept.memory_swap == 0 and not update:
        kept = msgspec.structs.replace(kept, memory_swap=2 * kept.memory)
    if kept.cpu_shares:
        kept = msgspec.structs.replace(kept, cpu_shares=min(max(kept.cpu_shares, _SHARES[0]), _SHARES[1]))
    return kept, warnings


def _check_sizes(wanted: Resources) -> None:
    if wanted.memory and wanted.memory < _MINIMUM_BYTES:
        raise InvalidSpec("Minimum memory limit allowed is 6MB")
    if wanted.memory_reservation and wanted.memory_reservation < _MINIMUM_BYTES:
        raise InvalidSpec("Minimum memory reservation allowed is 6MB")
    if wanted.io_maximum_bandwidth or wanted.io_maximum_iops:
        raise InvalidSpec("Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps")


def _discard(wanted: R, controllers: Collection[Controller]) -> tuple[R, list[str]]:
    asked = [name for name in wanted.__struct_fields__ if _asks(name, getattr(wanted, name)) and name != "memory_swap"]
    warnings = [f"volfuse does not support {what}: discarded" for name, what in _NEVER.items() if name in asked]
    gone = set(_NEVER)
    for controller, fields, lacking, discarded in _DOCKERS:
        if controller not in controllers:
            gone.update(fields)
            if any(name in asked for name in fields):
                warnings.append(f"Your kernel does not support {lacking}. {discarded} discarded.")
    none = Resources()
    return msgspec.structs.replace(wanted, **{name: getattr(none, name) for name in gone}), warnings


def _asks(name: str, value: object) -> bool:
    """Tell whether a value asks for something: -1 is no limit, and neither is 0, but of swappiness."""
    return value not in (None, -1) and (bool(value) or name == "memory_swappiness")


def _check_memory(kept: Resources, *, update: bool) -> None:
    if kept.memory > 0 and 0 < kept.memory_swap < kept.memory:
        raise InvalidSpec("Minimum memoryswap limit should be larger than memory limit, see usage")
    if kept.memory == 0 and kept.memory_swap > 0 and not update:
        raise InvalidSpec("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < kept.memory < kept.memory_reservation:
        raise InvalidSpec("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_processors(kept: Resources, processors: int) -> None:
    if kept.nano_cpus > 0 and kept.cpu_period > 0:
        raise InvalidSpec("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if kept.nano_cpus > 0 and kept.cpu_quota > 0:
        raise InvalidSpec("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if not 0 <= kept.nano_cpus <= processors * _BILLION:
        raise InvalidSpec(
            f"range of CPUs is from 0.01 to {processors}.00, as there are only {processors} CPUs available"
        )
    if kept.cpu_period and not _PERIODS_US[0] <= kept.cpu_period <= _PERIODS_US[1]:
        raise InvalidSpec("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < kept.cpu_quota < _SHORTEST_QUOTA_US:
        raise InvalidSpec("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    beyond = [number for number in _numbers(kept.cpuset_cpus) if number >= processors]
    if beyond:
        raise InvalidSpec(
            f"Requested CPUs are not available - requested {kept.cpuset_cpus}, available: 0-{processors - 1}"
        )


def _numbers(ranges: str) -> list[int]:
    """Return the first and last numbers of `0-2,7`."""
    try:
        return [int(number) for part in ranges.split(",") if part for number in part.split("-", 1)]
    except ValueError:
        raise InvalidSpec(f"Invalid value {ranges} for cpuset cpus") from None


_UPDATED = (
    "cpu_shares",
    "nano_cpus",
    "cpu_period",
    "cpu_quota",
    "cpuset_cpus",
    "cpuset_mems",
    "memory",
    "memory_swap",
    "memory_reservation",
    "pids_limit",
)


def updated(old: R, wanted: Resources) -> R:
    """Return limits with those of an update in place of the old ones; what the update leaves out stays.

    Raises:
        Conflict: the new ones do not go with the old.
    """
    for new, other, words in (
        (wanted.nano_cpus, old.cpu_period, "Nano CPUs cannot be updated as CPU Period has already been set"),
        (wanted.nano_cpus, old.cpu_quota, "Nano CPUs cannot be updated as CPU Quota has already been set"),
        (wanted.cpu_period, old.nano_cpus, "CPU Period cannot be updated as NanoCPUs has already been set"),
        (wanted.cpu_quota, old.nano_cpus, "CPU Quota cannot be updated as NanoCPUs has already been set"),
    ):
        if new > 0 and other > 0:
            raise Conflict(f"Conflicting options: {words}")
    if wanted.memory and not wanted.memory_swap and 0 <= old.memory_swap < wanted.memory:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    changes = {name: getattr(wanted, name) for name in _UPDATED if getattr(wanted, name) not in (None, 0, "")}
    if wanted.pids_limit == 0:  # no limit from now on
        changes["pids_limit"] = 0
    return msgspec.structs.replace(old, **changes)
