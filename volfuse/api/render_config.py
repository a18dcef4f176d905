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
_OPTIONAL_HOST_CONFIG = ("Tmpfs", "Mounts", "Annotations", "Init", "KernelMemory", "StorageOpt", "Sysctls", "Runtime")
"""Left out when empty, as Docker does."""
_LISTS = (
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "MaskedPaths",
    "ReadonlyPaths",
    "Ulimits",
)
"""Shown as `[]` when empty; other lists as `null`."""

_HOST_CONFIG_ZERO: dict[str, Any] = {"ContainerIDFile": "", "Cgroup": ""}


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
    return _HOST_CONFIG_ZERO | value | {name: value[name] or [] for name in _LISTS}


def network_mode(host: HostConfig) -> str:
    """Return the network mode, Docker's name for the default one resolved."""
    return "bridge" if host.network_mode in ("", "default") else host.network_mode
