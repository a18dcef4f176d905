"""Routes about the daemon as a whole: ping, version, info, disk usage."""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from volfuse import __version__
from volfuse.api.containers import list_entries
from volfuse.api.render_image import image_summary_json
from volfuse.api.render_text import rfc3339_nano
from volfuse.api.render_volume import volume_json
from volfuse.api.replies import json_reply
from volfuse.api.route import Route
from volfuse.api.versioning import MAXIMUM, MINIMUM, text_of
from volfuse.api.workers import Workers
from volfuse.core.filters import NO_FILTERS
from volfuse.core.model import Container, Status
from volfuse.core.resources import Controller
from volfuse.engine.engine import Engine
from volfuse.engine.ports import Cgroups
from volfuse.errors import InvalidSpec

__all__ = ["SystemRoutes"]

_PING_HEADERS = {
    "Builder-Version": "1",
    "Swarm": "inactive",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
}

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class SystemRoutes:
    """`/_ping`, `/version`, `/info`, `/system/df`."""

    def __init__(self, engine: Engine, workers: Workers) -> None:
        self._engine = engine
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        yield Route("GET", "/_ping", self.ping)
        yield Route("HEAD", "/_ping", self.ping)
        yield Route("GET", "/version", self.version)
        yield Route("GET", "/info", self.info)
        yield Route("GET", "/system/df", self.disk_usage)
        yield Route("POST", "/build/prune", self.prune_build_cache)

    async def ping(self, _request: web.Request) -> web.Response:
        """Serve `GET|HEAD /_ping`."""
        return web.Response(text="OK", headers=_PING_HEADERS)

    async def version(self, _request: web.Request) -> web.Response:
        """Serve `GET /version`."""
        return json_reply(_version_json())

    async def info(self, _request: web.Request) -> web.Response:
        """Serve `GET /info`."""
        return json_reply(await self._workers.call(self._info_json))

    async def prune_build_cache(self, _request: web.Request) -> web.Response:
        """Serve `POST /build/prune`, which is part of `docker system prune`."""
        return json_reply({"CachesDeleted": [], "SpaceReclaimed": 0})

    async def disk_usage(self, request: web.Request) -> web.Response:
        """Serve `GET /system/df`."""
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "image": self._image_usage,
            "container": self._container_usage,
            "volume": self._volume_usage,
            "build-cache": lambda: {"BuildCache": []},
        }
        wanted = request.query.getall("type", []) or list(parts)
        reply: dict[str, Any] = {"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None}
        for kind in wanted:
            if kind not in parts:
                raise InvalidSpec(f"unknown object type: {kind}")
            reply |= await self._workers.call(parts[kind])
        return json_reply({"BuildCache": None, **reply})

    def _image_usage(self) -> dict[str, Any]:
        images = self._engine.images.list(all=True, filters=NO_FILTERS)
        return {
            "LayersSize": sum(s.image.size for s in images),
            "Images": [{**image_summary_json(s.image, s.references, s.containers), "SharedSize": 0} for s in images],
        }

    def _container_usage(self) -> dict[str, Any]:
        return {"Containers": list_entries(self._engine, self._all_containers(), size=True)}

    def _volume_usage(self) -> dict[str, Any]:
        volumes = self._engine.volumes
        return {
            "Volumes": [
                volume_json(v, volumes.mountpoint(v), usage=volumes.usage(v))
                for v in volumes.list(NO_FILTERS)
                if v.is_plain
            ]
        }

    def _all_containers(self) -> list[Container]:
        return self._engine.containers.list(all=True, limit=0, filters=NO_FILTERS)

    def _info_json(self) -> dict[str, Any]:
        states = [c.state.status for c in self._all_containers()]
        running = states.count(Status.RUNNING)
        paused = states.count(Status.PAUSED)
        counts = {
            "Containers": len(states),
            "ContainersRunning": running,
            "ContainersPaused": paused,
            "ContainersStopped": len(states) - running - paused,
            "Images": len(self._engine.images.list(all=True, filters=NO_FILTERS)),
        }
        root = self._engine.root
        return {"ID": _id_of(root), **counts, **_HOST_INDEPENDENT, **_host_json(), "DockerRootDir": str(root)} | {
            "DriverStatus": [
                ["Transport", self._engine.views.transport],
                ["Coherence", self._engine.views.coherence.value],
            ],
            **_cgroups_json(self._engine.cgroups),
        }


def _cgroups_json(cgroups: Cgroups) -> dict[str, Any]:
    """Tell what can be limited, and warn about what Docker warns about (moby daemon/info_unix.go)."""
    present = {name: controller in cgroups.controllers for name, controller, _ in _CONTROLLERS}
    return {
        **present,
        "CgroupDriver": "none" if cgroups.reason else "cgroupfs",
        "CgroupVersion": str(cgroups.version),
        "Warnings": [f"WARNING: No {what} support" for name, _, what in _CONTROLLERS if not present[name]],
    }


def _version_json() -> dict[str, Any]:
    host = os.uname()
    details = {
        "ApiVersion": text_of(MAXIMUM),
        "Arch": _architecture(host.machine),
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": "",
        "KernelVersion": host.release,
        "MinAPIVersion": text_of(MINIMUM),
        "Os": "linux",
    }
    return {
        "Platform": {"Name": "volfuse"},
        "Components": [
            {"Name": "Engine", "Version": __version__, "Details": details},
            {"Name": "Python", "Version": platform.python_version(), "Details": {}},
        ],
        "Version": __version__,
        **details,
        "Experimental": False,
    }


def _architecture(machine: str) -> str:
    return _ARCHITECTURES.get(machine, machine)


def _id_of(root: Path) -> str:
    """Return what tells this daemon's state from another's."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"volfuse:{os.uname().nodename}:{root}"))


def _host_json() -> dict[str, Any]:
    host = os.uname()
    return {
        "KernelVersion": host.release,
        "OperatingSystem": _operating_system(),
        "OSVersion": "",
        "Architecture": host.machine,
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "Name": host.nodename,
        "SystemTime": rfc3339_nano(time.time_ns()),
    }


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


_COMMIT = {"ID": ""}

_CONTROLLERS = (
    ("MemoryLimit", Controller.MEMORY, "memory limit"),
    ("SwapLimit", Controller.SWAP, "swap limit"),
    ("CpuCfsPeriod", Controller.CPU, "cpu cfs period"),
    ("CpuCfsQuota", Controller.CPU, "cpu cfs quota"),
    ("CPUShares", Controller.CPU, "cpu shares"),
    ("CPUSet", Controller.CPUSET, "cpuset"),
    ("PidsLimit", Controller.PIDS, "pids limit"),
)
"""Names of `/info`, what they need, and words of the warnings."""

_HOST_INDEPENDENT: dict[str, Any] = {
    "Driver": "volfuse",
    "Plugins": {"Volume": ["local"], "Network": [], "Authorization": None, "Log": ["json-file"]},
    "IPv4Forwarding": False,
    "OomKillDisable": False,
    "Debug": False,
    "NFd": 0,
    "NGoroutines": 0,
    "NEventsListener": 0,
    "LoggingDriver": "json-file",
    "OSType": "linux",
    "IndexServerAddress": "",
    "RegistryConfig": {"InsecureRegistryCIDRs": [], "IndexConfigs": {}, "Mirrors": []},
    "GenericResources": None,
    "HttpProxy": "",
    "HttpsProxy": "",
    "NoProxy": "",
    "Labels": [],
    "ExperimentalBuild": False,
    "ServerVersion": __version__,
    "Runtimes": {},
    "DefaultRuntime": "",
    "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False, "Error": ""},
    "LiveRestoreEnabled": False,
    "Isolation": "",
    "InitBinary": "",
    "ContainerdCommit": _COMMIT,
    "RuncCommit": _COMMIT,
    "InitCommit": _COMMIT,
    "SecurityOptions": [],
}
