"""The JSON of a container's config and host config, with every key that clients look up.

volfuse stores what it understands (`core.wire`); what Docker has besides is shown with Docker's own zero values, so
that templates such as `{{.HostConfig.Memory}}` work.
"""

from __future__ import annotations

from typing import Any

import msgspec

from volfuse.core.wire import Config, HostConfig

__all__ = ["config_json", "host_config_json", "network_mode"]

_OPTIONAL_CONFIG = ("ExposedPorts", "Healthcheck", "StopSignal", "StopTimeout", "Shell")
_OPTIONAL_HOST_CONFIG = ("Tmpfs", "Mounts", "Annotations", "Init")
"""Left out when empty, as Docker does."""

_HOST_CONFIG_ZERO: dict[str, Any] = {
    "ContainerIDFile": "",
    "ConsoleSize": [0, 0],
    "CgroupnsMode": "private",
    "DnsOptions": [],
    "DnsSearch": [],
    "Cgroup": "",
    "Links": None,
    "OomScoreAdj": 0,
    "Isolation": "",
    "CpuShares": 0,
    "Memory": 0,
    "NanoCpus": 0,
    "CgroupParent": "",
    "BlkioWeight": 0,
    "BlkioWeightDevice": [],
    "BlkioDeviceReadBps": [],
    "BlkioDeviceWriteBps": [],
    "BlkioDeviceReadIOps": [],
    "BlkioDeviceWriteIOps": [],
    "CpuPeriod": 0,
    "CpuQuota": 0,
    "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0,
    "CpusetCpus": "",
    "CpusetMems": "",
    "Devices": [],
    "DeviceCgroupRules": None,
    "DeviceRequests": None,
    "MemoryReservation": 0,
    "MemorySwap": 0,
    "MemorySwappiness": None,
    "OomKillDisable": None,
    "PidsLimit": None,
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0,
    "MaskedPaths": [],
    "ReadonlyPaths": [],
}


def config_json(config: Config) -> dict[str, Any]:
    """Return a config of a container or an image."""
    value: dict[str, Any] = msgspec.to_builtins(config)
    value["Labels"] = value["Labels"] or {}
    return {k: v for k, v in value.items() if v or k not in _OPTIONAL_CONFIG}


def host_config_json(host: HostConfig) -> dict[str, Any]:
    """Return a host config: the request's values as they were sent."""
    value: dict[str, Any] = msgspec.to_builtins(host)
    value = {k: v for k, v in value.items() if v or k not in _OPTIONAL_HOST_CONFIG}
    value["NetworkMode"] = network_mode(host)
    value["PortBindings"] = value["PortBindings"] or {}
    value["Dns"] = value["Dns"] or []
    value["Ulimits"] = value["Ulimits"] or []
    return _HOST_CONFIG_ZERO | value


def network_mode(host: HostConfig) -> str:
    """Return the network mode, Docker's name for the default one resolved."""
    return "bridge" if host.network_mode in ("", "default") else host.network_mode
