"""The JSON of what a container uses (moby api/types/container/stats.go, StatsResponse).

Networks and block devices are not counted: containers have no network, and their files are the daemon's to read.
"""

from __future__ import annotations

import os
from typing import Any

from volfuse.api.render_text import rfc3339_nano
from volfuse.core.model import Container
from volfuse.core.usage import Usage

__all__ = ["stats_json"]

_BLOCK_FIELDS = (
    "io_service_bytes_recursive",
    "io_serviced_recursive",
    "io_queue_recursive",
    "io_service_time_recursive",
    "io_wait_time_recursive",
    "io_merged_recursive",
    "io_time_recursive",
    "sectors_recursive",
)
_MACHINE_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def stats_json(
    container: Container, now_ns: int = 0, usage: Usage | None = None, last_ns: int = 0, last: Usage | None = None
) -> dict[str, Any]:
    """Return a sample, with the processor's part of the one before; without one of a container that does not run."""
    host = container.host_config
    return {
        "name": f"/{container.name}",
        "id": container.id,
        "read": rfc3339_nano(now_ns),
        "preread": rfc3339_nano(last_ns),
        "pids_stats": _without_zeros({"current": usage.tasks, "limit": host.pids_limit}) if usage else {},
        "blkio_stats": dict.fromkeys(_BLOCK_FIELDS),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _processor_json(usage),
        "precpu_stats": _processor_json(last),
        "memory_stats": {"usage": usage.memory_bytes, "limit": host.memory or _MACHINE_BYTES} if usage else {},
        "networks": {},
    }


def _processor_json(sample: Usage | None) -> dict[str, Any]:
    usage = sample or Usage()
    return {
        "cpu_usage": {
            "total_usage": usage.kernel_ns + usage.user_ns,
            "usage_in_kernelmode": usage.kernel_ns,
            "usage_in_usermode": usage.user_ns,
        },
        **_without_zeros({"system_cpu_usage": usage.machine_ns, "online_cpus": usage.processors}),
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }


def _without_zeros(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is zero, as Go's `omitempty` does."""
    return {key: item for key, item in value.items() if item}
