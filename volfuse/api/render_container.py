"""The JSON of containers: inspect and list entries (docker-semantics sections 4 and 5.3)."""

from __future__ import annotations

from typing import Any

from volfuse.api.render_config import config_json, host_config_json, network_mode
from volfuse.api.render_text import command_line, command_of, rfc3339_nano, status_text, unix_seconds
from volfuse.core.inspect import mounts_json
from volfuse.core.model import Container, State, Status

__all__ = ["container_json", "container_summary_json"]

_ALIVE = (Status.RUNNING, Status.PAUSED, Status.RESTARTING)


def container_json(container: Container, *, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return the object of `GET /containers/C/json`.

    Args:
        size: bytes of the private tree's own files and of the whole tree, where asked for.
    """
    path, arguments = command_of(container.config)
    value: dict[str, Any] = {
        "Id": container.id,
        "Created": rfc3339_nano(container.created_ns),
        "Path": path,
        "Args": arguments,
        "State": _state_json(container.state),
        "Image": container.image,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "volfuse",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": host_config_json(container.host_config),
        "GraphDriver": {"Name": "volfuse", "Data": None},
        "Mounts": mounts_json(container.mounts),
        "Config": config_json(container.config) | {"Image": container.image_ref},
        "NetworkSettings": _NETWORK_SETTINGS | {"Networks": _networks_json(container)},
    }
    if size is not None:
        value |= {"SizeRw": size[0], "SizeRootFs": size[1]}
    return value


_NETWORK_SETTINGS: dict[str, Any] = {
    "Bridge": "",
    "SandboxID": "",
    "SandboxKey": "",
    "Ports": {},
    "HairpinMode": False,
    "LinkLocalIPv6Address": "",
    "LinkLocalIPv6PrefixLen": 0,
    "SecondaryIPAddresses": None,
    "SecondaryIPv6Addresses": None,
    "EndpointID": "",
    "Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "MacAddress": "",
}


def _networks_json(container: Container) -> dict[str, Any]:
    return {name: _ENDPOINT | endpoint for name, endpoint in container.networks.items()}


_ENDPOINT: dict[str, Any] = {
    "IPAMConfig": None,
    "Links": None,
    "Aliases": None,
    "MacAddress": "",
    "DriverOpts": None,
    "NetworkID": "",
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "DNSNames": None,
}


def _state_json(state: State) -> dict[str, Any]:
    return {
        "Status": state.status.value,
        "Running": state.status in _ALIVE,
        "Paused": state.status is Status.PAUSED,
        "Restarting": state.status is Status.RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": state.status is Status.DEAD,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": rfc3339_nano(state.started_ns),
        "FinishedAt": rfc3339_nano(state.finished_ns),
    }


def container_summary_json(
    container: Container, *, now_ns: int, image_name: str, size: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Return an entry of `GET /containers/json`.

    Args:
        image_name: the image's reference, or its id where that names another image by now.
    """
    path, arguments = command_of(container.config)
    value: dict[str, Any] = {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": image_name,
        "ImageID": container.image,
        "Command": command_line(path, arguments),
        "Created": unix_seconds(container.created_ns),
        "Ports": [],
        "Labels": container.config.labels or {},
        "State": container.state.status.value,
        "Status": status_text(container.state, now_ns),
        "HostConfig": {"NetworkMode": network_mode(container.host_config)},
        "NetworkSettings": {"Networks": _networks_json(container)},
        "Mounts": mounts_json(container.mounts),
    }
    if size is not None:
        value |= {"SizeRw": size[0], "SizeRootFs": size[1]}
    return value
