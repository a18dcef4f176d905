"""The request for a new container, made of `create`'s options.

Source: docker/cli, cli/command/container/opts.go, parse.
"""

from __future__ import annotations

import os

from volfuse.cli.containeroptions import CreateOptions
from volfuse.cli.hostoptions import (
    capabilities,
    exposed_ports,
    healthcheck,
    log_config,
    port_bindings,
    restart_policy,
    storage_options,
    ulimits,
)
from volfuse.cli.jsontypes import Json
from volfuse.cli.keyvalues import environment, labels, pairs
from volfuse.cli.limitoptions import limits
from volfuse.cli.terminal import window_size
from volfuse.core.mountflag import VolumeFlags, parse_mount_flag, parse_tmpfs_flag, parse_volume_flags
from volfuse.core.units import ram_in_bytes
from volfuse.errors import InvalidSpec

__all__ = ["container_config"]


def container_config(options: CreateOptions) -> dict[str, Json]:
    """Return the body of the request.

    Raises:
        InvalidSpec: options are wrong, or contradict each other.
    """
    flags = parse_volume_flags(options.volume or [], os.getcwd())
    return {**_program(options, flags), "HostConfig": _host(options, flags)}


def _program(options: CreateOptions, flags: VolumeFlags) -> dict[str, Json]:
    streams = _streams(options.attach or [])
    stdin = options.interactive if not streams else "stdin" in streams
    config: dict[str, Json] = {
        "Hostname": options.hostname,
        "Domainname": options.domainname,
        "User": options.user,
        "AttachStdin": stdin,
        "AttachStdout": not streams or "stdout" in streams,
        "AttachStderr": not streams or "stderr" in streams,
        "Tty": options.tty,
        "OpenStdin": options.interactive,
        "StdinOnce": options.interactive and stdin,
        "Env": environment(options.env_file or [], options.env or [], os.environ),
        "Cmd": options.command or None,
        "Image": options.image,
        "Volumes": {destination: {} for destination in flags.anonymous},
        "WorkingDir": options.workdir,
        "Entrypoint": None if options.entrypoint is None else [options.entrypoint],
        "Labels": labels(options.label_file or [], options.label or []),
    }
    optional = {
        "ExposedPorts": exposed_ports(options.expose or [], options.publish or []) or None,
        "StopSignal": options.stop_signal or None,
        "StopTimeout": options.stop_timeout,
        "Healthcheck": _healthcheck(options),
    }
    return config | _given(optional)


def _host(options: CreateOptions, flags: VolumeFlags) -> dict[str, Json]:
    policy = restart_policy(options.restart)
    if options.remove and policy["Name"] not in ("", "no"):
        raise InvalidSpec("conflicting options: cannot specify both --restart and --rm")
    add, drop = capabilities(options.cap_add or [], options.cap_drop or [])
    host: dict[str, Json] = {
        "Binds": list(flags.binds) or None,
        "LogConfig": log_config(options.log_driver, options.log_opt or []),
        "NetworkMode": (options.network or ["default"])[0],
        "PortBindings": port_bindings(options.publish or []),
        "RestartPolicy": policy,
        "AutoRemove": options.remove,
        "VolumeDriver": options.volume_driver,
        "VolumesFrom": options.volumes_from,
        "ConsoleSize": list(window_size()),
        "CapAdd": add,
        "CapDrop": drop,
        "Dns": options.dns or [],
        "DnsOptions": options.dns_option or [],
        "DnsSearch": options.dns_search or [],
        "ExtraHosts": options.add_host,
        "GroupAdd": options.group_add,
        "IpcMode": options.ipc,
        "OomScoreAdj": options.oom_score_adj,
        "PidMode": options.pid,
        "Privileged": options.privileged,
        "PublishAllPorts": options.publish_all,
        "ReadonlyRootfs": options.read_only,
        "SecurityOpt": options.security_opt,
        "UTSMode": options.uts,
        "UsernsMode": options.userns,
        "ShmSize": ram_in_bytes(options.shm_size),
        "Ulimits": ulimits(options.ulimit or []),
    }
    optional = {
        "Tmpfs": dict(parse_tmpfs_flag(text) for text in options.tmpfs or []) or None,
        "Mounts": _mounts(options.mount or []) or None,
        "Annotations": pairs(options.annotation or []) or None,
        "Runtime": options.runtime or None,
        "StorageOpt": storage_options(options.storage_opt or []) or None,
        "Init": options.init,
    }
    return host | limits(options) | _given(optional)


def _given(optional: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in optional.items() if value is not None}


def _streams(attach: list[str]) -> set[str]:
    chosen = {text.lower() for text in attach}
    if chosen - {"stdin", "stdout", "stderr"}:
        raise InvalidSpec("valid streams are STDIN, STDOUT and STDERR")
    return chosen


def _mounts(texts: list[str]) -> list[Json]:
    if not texts:
        return []
    import msgspec

    return [msgspec.to_builtins(parse_mount_flag(text, os.getcwd())) for text in texts]


def _healthcheck(options: CreateOptions) -> dict[str, Json] | None:
    times = {
        "Interval": options.health_interval,
        "Timeout": options.health_timeout,
        "StartPeriod": options.health_start_period,
    }
    return healthcheck(options.health_cmd, times, options.health_retries, disabled=options.no_healthcheck)
