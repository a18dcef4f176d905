"""The replies of inspect as Docker's templates see them.

Docker runs a template on its own structs first: there a null list prints `[]`, a null map `map[]`, a field that was
left out has its zero value, mounts print as `{volume name …}`, and `.ID` is the same as `.Id`.

Source: moby api/types/container InspectResponse, api/types/image InspectResponse, api/types/volume Volume.
"""

from __future__ import annotations

from volfuse.cli.jsontypes import Json
from volfuse.core.gotemplate import EMPTY_LIST, EMPTY_MAP, Object, Record, TextMap
from volfuse.core.gotemplate.values import NIL_POINTER

__all__ = ["shaped"]

_LISTS = frozenset(
    (
        "Args",
        "Binds",
        "CapAdd",
        "CapDrop",
        "Cmd",
        "DeviceCgroupRules",
        "DeviceRequests",
        "Devices",
        "Dns",
        "DnsOptions",
        "DnsSearch",
        "Entrypoint",
        "Env",
        "ExecIDs",
        "ExtraHosts",
        "GroupAdd",
        "Layers",
        "Links",
        "MaskedPaths",
        "Mounts",
        "OnBuild",
        "ReadonlyPaths",
        "RepoDigests",
        "RepoTags",
        "SecurityOpt",
        "Shell",
        "Ulimits",
        "VolumesFrom",
    )
)
_MAPS = frozenset(
    (
        "Annotations",
        "Data",
        "ExposedPorts",
        "Labels",
        "Networks",
        "Options",
        "PortBindings",
        "Ports",
        "Status",
        "StorageOpt",
        "Sysctls",
        "Tmpfs",
        "Volumes",
    )
)
_MOUNT: dict[str, Json] = {
    "Type": "",
    "Name": "",
    "Source": "",
    "Destination": "",
    "Driver": "",
    "Mode": "",
    "RW": False,
    "Propagation": "",
}
_TEXT_MAPS = frozenset(("Annotations", "Labels", "Options", "StorageOpt", "Sysctls", "Tmpfs"))
_SETS = frozenset(("ExposedPorts", "Volumes"))
_MOUNT_OPTIONAL = ("Type", "Name", "Driver")
_LEFT_OUT: dict[str, dict[str, Json]] = {
    "": {"SizeRw": NIL_POINTER, "SizeRootFs": NIL_POINTER, "Status": EMPTY_MAP, "UsageData": NIL_POINTER},
    "HostConfig": {
        "Mounts": EMPTY_LIST,
        "Tmpfs": EMPTY_MAP,
        "Annotations": EMPTY_MAP,
        "Init": NIL_POINTER,
        "Runtime": "",
    },
    "Config": {
        **dict.fromkeys(("Hostname", "Domainname", "User", "Image", "WorkingDir", "StopSignal"), ""),
        **dict.fromkeys(("Cmd", "Entrypoint", "Env", "OnBuild", "Shell"), EMPTY_LIST),
        **dict.fromkeys(("ExposedPorts", "Labels", "Volumes"), EMPTY_MAP),
        **dict.fromkeys(("Healthcheck", "StopTimeout"), NIL_POINTER),
    },
    "State": {"Health": NIL_POINTER},
}


def shaped(item: dict[str, Json], name: str = "") -> Object:
    """Return an object of the API for templates.

    Args:
        item: the object.
        name: the field that holds it; empty for the whole reply.
    """
    hidden = dict(_LEFT_OUT.get(name, {}))
    if not name and "Id" in item:
        hidden["ID"] = item["Id"]
    return Object({key: _value(key, value, name) for key, value in item.items()}, hidden)


def _value(key: str, value: Json, parent: str) -> Json:
    if value is None:
        return EMPTY_LIST if key in _LISTS else EMPTY_MAP if key in _MAPS else NIL_POINTER
    if key == "Mounts" and not parent:
        return [Record({**_MOUNT, **mount}, _MOUNT_OPTIONAL) for mount in value]
    if isinstance(value, dict) and key in _SETS:
        return {name: Record({}) for name in sorted(value)}
    if isinstance(value, dict) and key in _MAPS:
        return TextMap(sorted(value.items())) if key in _TEXT_MAPS else dict(sorted(value.items()))
    if isinstance(value, dict) and not parent:
        return shaped(value, key)
    return value
