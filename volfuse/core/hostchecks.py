"""Options of a new container that volfuse has not: refused with a sentence, or left out with a warning.

What would change what a program sees or may do is refused; what it can do without is a warning. Nothing is silent.

Source: moby daemon/container.go (validateHostConfig), daemon/daemon_unix.go (verifyPlatformContainerSettings,
parseSecurityOpt).
"""

from __future__ import annotations

import ipaddress
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from volfuse.core.signals import parse_signal
from volfuse.core.viewplan import Telling
from volfuse.core.wire import Config, CreateRequest, HostConfig
from volfuse.errors import InvalidSpec, Unsupported

__all__ = [
    "OWN_NETWORKS",
    "check_config",
    "check_host",
    "check_program",
    "check_size",
    "endpoints",
    "left_out",
    "telling",
]

_UNSUPPORTED: tuple[tuple[str, frozenset[Any], str], ...] = (
    ("cgroup_parent", frozenset({""}), "--cgroup-parent: volfuse chooses the cgroups of containers"),
    ("devices", frozenset(), "--device: containers get the usual devices only"),
    ("device_cgroup_rules", frozenset(), "--device-cgroup-rule: containers get the usual devices only"),
    ("device_requests", frozenset(), "--gpus: containers get the usual devices only"),
    ("ipc_mode", frozenset({"", "private", "shareable"}), "--ipc: each container has an IPC namespace of its own"),
    ("links", frozenset(), "--link: containers have no network between them"),
    ("log_config.type", frozenset({"", "json-file", "local", "none"}), "--log-driver: use json-file, local or none"),
    ("pid_mode", frozenset({"", "private"}), "--pid: each container has a process namespace of its own"),
    ("sysctls", frozenset(), "--sysctl: containers have the host's kernel parameters"),
    ("uts_mode", frozenset({""}), "--uts: each container has a UTS namespace of its own"),
)
"""Fields, the values that say what volfuse does anyway, and the sentence for others."""

_KNOWN: tuple[tuple[str, frozenset[str], str], ...] = (
    ("cgroupns_mode", frozenset({"", "host", "private"}), "invalid cgroup namespace mode: {}"),
    ("isolation", frozenset({"", "default"}), "invalid isolation '{}' on linux"),
    ("runtime", frozenset({"", "runc", "io.containerd.runc.v2"}), "unknown or invalid runtime name: {}"),
    ("userns_mode", frozenset({"", "host"}), "invalid USER mode: {}"),
)
"""Fields, their values, and Docker's words for others."""

OWN_NETWORKS = frozenset({"", "default", "bridge", "none", "host"})
"""Names of networks that nobody makes; all mean none at all, but the host's."""
_LARGEST_SIZE = 65535
_OOM_SCORES = (-1000, 1000)


def check_config(config: Config) -> None:
    """Refuse what no program could be started with.

    Raises:
        InvalidSpec: with Docker's words.
    """
    if config.working_dir and not posixpath.isabs(config.working_dir):
        raise InvalidSpec(f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path")
    if config.stop_signal:
        parse_signal(config.stop_signal)
    check_program([*(config.entrypoint or ()), *(config.cmd or ())], config.env or ())


def check_program(arguments: Iterable[str], environment: Iterable[str]) -> None:
    """Refuse what execve(2) cannot take.

    Raises:
        InvalidSpec: a variable without a name, or a null byte.
    """
    for entry in environment:
        if not entry or entry.startswith("=") or "\0" in entry:
            raise InvalidSpec(f"invalid environment variable: {entry}")
    for word in arguments:
        if "\0" in word:
            raise InvalidSpec(f"invalid argument, it has a null byte: {word!r}")


def check_size(rows: int, columns: int) -> None:
    """Refuse sizes that no terminal has.

    Raises:
        InvalidSpec: a negative number, or one above 65535.
    """
    for number in (rows, columns):
        if not 0 <= number <= _LARGEST_SIZE:
            raise InvalidSpec(f"a terminal cannot have {number} rows or columns")


def check_host(host: HostConfig) -> None:
    """Refuse what volfuse does not do, and what Docker refuses.

    Raises:
        Unsupported: volfuse does not do it.
        InvalidSpec: Docker neither.
    """
    for field, known, words in _KNOWN:
        if getattr(host, field) not in known:
            raise InvalidSpec(words.format(getattr(host, field)))
    for field, usual, sentence in _UNSUPPORTED:
        value = host.log_config.type if field == "log_config.type" else getattr(host, field)
        if value and (not isinstance(value, str) or value not in usual):
            raise Unsupported(f"volfuse does not support {sentence}")
    if host.network_mode.startswith("container:"):
        raise Unsupported("volfuse does not share networks between containers: use --network none or host")
    telling(host)
    check_size(*host.console_size)
    if host.shm_size < 0:
        raise InvalidSpec("SHM size can not be less than 0")
    if not _OOM_SCORES[0] <= host.oom_score_adj <= _OOM_SCORES[1]:
        raise InvalidSpec(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    for entry in host.extra_hosts or ():
        _check_extra_host(entry)
    for option in host.security_opt or ():
        _check_security(option)
    if host.masked_paths is not None or host.readonly_paths is not None:
        raise Unsupported("volfuse does not support --security-opt systempaths: what is hidden in /proc is fixed")


def telling(host: HostConfig) -> Telling:
    """Return `--storage-opt inotify=…`: whether watchers in the container hear of other views and of the host.

    Raises:
        Unsupported: another storage option: volfuse has no storage driver.
        InvalidSpec: another value.
    """
    for name, value in (host.storage_opt or {}).items():
        if name != "inotify":
            raise Unsupported(f"volfuse does not support --storage-opt {name}: volfuse has no storage driver")
        try:
            return Telling(value)
        except ValueError:
            raise InvalidSpec(f'invalid storage option inotify="{value}": must be on, off or auto') from None
    return Telling.AUTO


def _check_extra_host(entry: str) -> None:
    name, colon, address = entry.partition(":")
    if not colon or not name:
        raise InvalidSpec(f'bad format for add-host: "{entry}"')
    if address == "host-gateway":
        raise InvalidSpec("unable to derive the IP value for host-gateway: containers have no network")
    try:
        ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        raise InvalidSpec(f'invalid IP address in add-host: "{address}"') from None


def _check_security(option: str) -> None:
    """Labels do nothing where SELinux is off, as in Docker; profiles are not silently ignored."""
    if option in ("no-new-privileges", "disable"):
        return
    name, _, value = option.partition("=") if "=" in option else option.partition(":")
    match name:
        case "label":
            return
        case "no-new-privileges" if value in ("true", "false"):
            return
        case "apparmor" | "seccomp" if value in ("", "unconfined"):
            return
        case "apparmor" | "seccomp":
            raise Unsupported(f"volfuse does not support --security-opt {name}: programs run without such a profile")
        case "no-new-privileges":
            raise InvalidSpec(f'invalid --security-opt 2: "{option}"')
    kind = 2 if "=" in option or ":" in option else 1
    raise InvalidSpec(f'invalid --security-opt {kind}: "{option}"')


def left_out(request: CreateRequest, merged: Config) -> list[str]:
    """Return warnings about what is asked for and does not happen.

    Args:
        merged: config of the request and the image.
    """
    host = request.host_config
    warnings = []
    if host.port_bindings or host.publish_all_ports:
        where = "when using host network mode" if host.network_mode == "host" else "as containers have no network"
        warnings.append(f"Published ports are discarded {where}")
    if endpoints(request):
        warnings.append("Containers on a network do not reach one another: volfuse knows networks by name only")
    if _addresses(request):
        warnings.append("Addresses are discarded as containers have no network")
    if host.privileged:
        warnings.append("A privileged container has all capabilities, but no devices of the host")
    if _checks_health(merged.healthcheck):
        warnings.append("The health check is not run: volfuse does not watch the health of containers")
    return warnings


def endpoints(request: CreateRequest) -> dict[str, dict[str, Any]]:
    """Return the networks that a container is to be on, and what the request says of each endpoint."""
    mode = request.host_config.network_mode
    named = {name: endpoint for name, endpoint in _endpoints(request).items() if name not in OWN_NETWORKS}
    return named if mode in OWN_NETWORKS else {mode: {}} | named


def _endpoints(request: CreateRequest) -> dict[str, dict[str, Any]]:
    given = (request.networking_config or {}).get("EndpointsConfig") or {}
    if not isinstance(given, Mapping):
        raise InvalidSpec("invalid JSON: EndpointsConfig is no object")
    return {name: dict(endpoint) if isinstance(endpoint, Mapping) else {} for name, endpoint in given.items()}


def _addresses(request: CreateRequest) -> bool:
    return any(endpoint.get("MacAddress") or endpoint.get("IPAMConfig") for endpoint in _endpoints(request).values())


def _checks_health(healthcheck: Mapping[str, Any] | None) -> bool:
    test: Sequence[str] = (healthcheck or {}).get("Test") or ()
    return bool(test) and test[0] != "NONE"
