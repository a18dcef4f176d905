"""Docker's JSON objects as values: container config, host config, mounts.

Field names are Docker's, turned to snake case; the JSON spelling comes back on encoding (`msgspec.json`). Only what
volfuse stores or echoes is here: unknown fields of a request are ignored, as Docker does.

Source: moby api/types/container (Config, HostConfig), api/types/mount (Mount), API v1.51.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "BindOptions",
    "Config",
    "CreateRequest",
    "Driver",
    "HostConfig",
    "LogConfig",
    "Mount",
    "Resources",
    "RestartPolicy",
    "TmpfsOptions",
    "VolumeOptions",
    "go_name",
]

_SPECIAL = {
    "on_build": "OnBuild",
    "uts_mode": "UTSMode",
    "userns_mode": "UsernsMode",
    "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    "io_maximum_iops": "IOMaximumIOps",
    "io_maximum_bandwidth": "IOMaximumBandwidth",
}


def go_name(field: str) -> str:
    """Return the JSON name of a field: `attach_stdin` is `AttachStdin`."""
    return _SPECIAL.get(field) or "".join(word.capitalize() for word in field.split("_"))


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename=go_name):
    """A JSON object whose fields are all sent."""


class WireOmit(msgspec.Struct, frozen=True, kw_only=True, rename=go_name, omit_defaults=True):
    """A JSON object whose empty fields are left out (Go's `omitempty`)."""


class Driver(WireOmit, frozen=True):
    """A volume driver asked for by `--mount`."""

    name: str = ""
    options: dict[str, str] = {}


class BindOptions(WireOmit, frozen=True):
    """Options of a `--mount type=bind`; `coherence` is our own, empty for none."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False
    coherence: str = ""


class VolumeOptions(WireOmit, frozen=True):
    """Options of a `--mount type=volume`."""

    no_copy: bool = False
    labels: dict[str, str] | None = None
    subpath: str = ""
    driver_config: Driver | None = None


class TmpfsOptions(WireOmit, frozen=True):
    """Options of a `--mount type=tmpfs`. `mode` is the plain number, `options` are `[["noexec"]]` or pairs."""

    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] = []


class Mount(WireOmit, frozen=True):
    """One entry of `HostConfig.Mounts`, as the client sent it."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: dict[str, Any] | None = None
    tmpfs_options: TmpfsOptions | None = None


class LogConfig(Wire, frozen=True):
    """Where the output goes; clients read logs only of `json-file`."""

    type: str = "json-file"
    config: dict[str, str] = {}


class RestartPolicy(Wire, frozen=True):
    """`no` (or empty), `on-failure`, `always`, `unless-stopped`."""

    name: str = "no"
    maximum_retry_count: int = 0


class Config(Wire, frozen=True):
    """A container's config; an image's has the same shape."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: dict[str, Any] | None = None
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: list[str] | None = None


class Resources(Wire, frozen=True):
    """Limits of a container's resources, and the devices that it gets; 0, empty or None for none.

    Memory is in bytes, -1 as swap is unlimited; `nano_cpus` are thousand-millionths of a processor; periods and quotas
    are in microseconds.
    """

    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[dict[str, Any]] | None = None
    blkio_device_read_bps: list[dict[str, Any]] | None = None
    blkio_device_write_bps: list[dict[str, Any]] | None = None
    blkio_device_read_iops: list[dict[str, Any]] | None = None
    blkio_device_write_iops: list[dict[str, Any]] | None = None
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[dict[str, Any]] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[dict[str, Any]] | None = None
    kernel_memory: int = 0
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: list[dict[str, Any]] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = 0
    io_maximum_bandwidth: int = 0


class HostConfig(Resources, frozen=True):
    """How a container meets its host."""

    console_size: tuple[int, int] = (0, 0)
    cgroupns_mode: str = ""
    binds: list[str] | None = None
    log_config: LogConfig = LogConfig()
    network_mode: str = "default"
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    links: list[str] | None = None
    oom_score_adj: int = 0
    isolation: str = ""
    storage_opt: dict[str, str] | None = None
    sysctls: dict[str, str] | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    pid_mode: str = ""
    uts_mode: str = ""
    userns_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    port_bindings: dict[str, Any] | None = None
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    tmpfs: dict[str, str] | None = None
    shm_size: int = 0
    runtime: str = ""
    init: bool | None = None
    mounts: list[Mount] | None = None
    annotations: dict[str, str] | None = None


class CreateRequest(Config, frozen=True):
    """Body of `POST /containers/create`: a config with the host config inside."""

    host_config: HostConfig = HostConfig()
    networking_config: dict[str, Any] | None = None
