"""Replies of a daemon for tests, shaped as dockerd shapes them (API v1.51)."""

from __future__ import annotations

import json
import time
from typing import Any

from .fakedaemon import Answer, Reply, error

CONTAINER_ID = "a" * 64
OTHER_ID = "d" * 64
IMAGE_ID = f"sha256:{'c' * 64}"
LOOSE_IMAGE_ID = f"sha256:{'f' * 64}"
VOLUME_ID = "b" * 64
_NOW = int(time.time())
_HOUR_AGO = _NOW - 3700
_DAYS_AGO = _NOW - 3 * 86400 - 100

VOLUME_MOUNT = {
    "Type": "volume",
    "Name": VOLUME_ID,
    "Source": "/x",
    "Destination": "/v",
    "Driver": "local",
    "Mode": "",
    "RW": True,
    "Propagation": "",
}
BIND_MOUNT = {
    "Type": "bind",
    "Source": "/h/very/long/path/name",
    "Destination": "/b",
    "Mode": "",
    "RW": False,
    "Propagation": "rprivate",
}
LISTED: dict[str, Any] = {
    "Id": CONTAINER_ID,
    "Names": ["/web"],
    "Image": "vtwo",
    "ImageID": IMAGE_ID,
    "Command": "sh -c 'while true; do sleep 1; done'",
    "Created": _HOUR_AGO,
    "Ports": [],
    "Labels": {"a": "1", "b.c-d": "2"},
    "State": "created",
    "Status": "Created",
    "HostConfig": {"NetworkMode": "bridge"},
    "NetworkSettings": {"Networks": {"bridge": {}}},
    "Mounts": [VOLUME_MOUNT, BIND_MOUNT],
    "SizeRw": 1234,
    "SizeRootFs": 12345678,
}
LISTED_OTHER = LISTED | {
    "Id": OTHER_ID,
    "Names": ["/db", "/web/alias"],
    "Image": IMAGE_ID,
    "Mounts": [],
    "Labels": {},
    "Command": "sh",
    "Created": _DAYS_AGO,
}
INSPECTED: dict[str, Any] = {
    "Id": CONTAINER_ID,
    "Created": "2026-01-01T00:00:00.123456789Z",
    "Path": "sh",
    "Args": ["-c", "x"],
    "State": {
        "Status": "created",
        "Running": False,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 42,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "0001-01-01T00:00:00Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    },
    "Image": IMAGE_ID,
    "Name": "/web",
    "RestartCount": 0,
    "Driver": "overlay2",
    "Platform": "linux",
    "MountLabel": "",
    "HostConfig": {
        "Binds": None,
        "VolumesFrom": ["x", "y"],
        "CapAdd": None,
        "NetworkMode": "default",
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": False,
        "Tmpfs": {"/t": ""},
    },
    "GraphDriver": {"Name": "overlay2", "Data": {}},
    "Mounts": [VOLUME_MOUNT, BIND_MOUNT],
    "Config": {
        "Hostname": "host<1>",
        "Env": ["A=1<b", "B=2"],
        "Cmd": ["sh"],
        "Volumes": {"/v": {}},
        "Labels": {"z": "1", "a": "2"},
        "Entrypoint": None,
        "StopTimeout": 3,
    },
    "NetworkSettings": {
        "Networks": {},
        "Ports": {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
            "9/udp": [{"HostIp": "127.0.0.1", "HostPort": "10"}],
            "81/tcp": None,
        },
    },
}
VOLUME: dict[str, Any] = {
    "CreatedAt": "2026-01-01T00:00:00Z",
    "Driver": "local",
    "Labels": {"k": "v"},
    "Mountpoint": "/r/volumes/v1/_data",
    "Name": "v1",
    "Options": None,
    "Scope": "local",
}
ANONYMOUS = VOLUME | {"Labels": None, "Name": VOLUME_ID}
IMAGE: dict[str, Any] = {
    "Id": IMAGE_ID,
    "ParentId": "",
    "RepoTags": ["vtwo:latest", "vtwo:2"],
    "RepoDigests": [f"vtwo@sha256:{'e' * 64}"],
    "Created": _DAYS_AGO,
    "Size": 12345678,
    "SharedSize": -1,
    "Containers": -1,
    "Labels": None,
}
LOOSE_IMAGE = IMAGE | {"Id": LOOSE_IMAGE_ID, "RepoTags": [], "RepoDigests": [], "Created": _HOUR_AGO, "Size": 1000}
INSPECTED_IMAGE: dict[str, Any] = {
    "Id": IMAGE_ID,
    "RepoTags": ["vtwo:latest"],
    "RepoDigests": [],
    "Created": "2026-01-01T00:00:00Z",
    "Config": {"Volumes": {"/volume01": {}}, "Cmd": ["sh"]},
    "Architecture": "amd64",
    "Os": "linux",
    "Size": 12345678,
    "GraphDriver": {"Name": "x", "Data": None},
    "RootFS": {"Type": "layers", "Layers": [f"sha256:{'1' * 64}"]},
    "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
}
HISTORY: list[dict[str, Any]] = [
    {
        "Id": IMAGE_ID,
        "Created": _DAYS_AGO,
        "CreatedBy": "/bin/sh -c #(nop)  VOLUME [/volume01 /volume02] and more text to be cut",
        "Tags": ["vtwo:latest"],
        "Size": 12345678,
        "Comment": "imported",
    },
    {"Id": "<missing>", "Created": _DAYS_AGO, "CreatedBy": "", "Tags": None, "Size": 0, "Comment": ""},
]
EVENTS: list[dict[str, Any]] = [
    {
        "Type": "volume",
        "Action": "create",
        "Actor": {"ID": "v1", "Attributes": {"driver": "local", "a": "b"}},
        "scope": "local",
        "time": 1700000000,
        "timeNano": 1700000000123456789,
    },
    {
        "status": "create",
        "id": CONTAINER_ID,
        "from": "vtwo",
        "Type": "container",
        "Action": "create",
        "Actor": {"ID": CONTAINER_ID, "Attributes": {"image": "vtwo", "name": "web"}},
        "scope": "local",
        "time": 1700000001,
        "timeNano": 1700000001000000000,
    },
]
VERSION: dict[str, Any] = {
    "Platform": {"Name": "volfuse"},
    "Components": [
        {
            "Name": "Engine",
            "Version": "0.1.0",
            "Details": {
                "ApiVersion": "1.51",
                "Arch": "amd64",
                "BuildTime": "2026-01-01T00:00:00.000000000+00:00",
                "Experimental": "false",
                "GitCommit": "abc",
                "GoVersion": "python3.11",
                "KernelVersion": "6.1",
                "MinAPIVersion": "1.24",
                "Os": "linux",
            },
        }
    ],
    "Version": "0.1.0",
    "ApiVersion": "1.51",
    "MinAPIVersion": "1.24",
    "GitCommit": "abc",
    "GoVersion": "python3.11",
    "Os": "linux",
    "Arch": "amd64",
    "KernelVersion": "6.1",
    "BuildTime": "2026-01-01T00:00:00.000000000+00:00",
}
INFO: dict[str, Any] = {
    "ID": "xxx",
    "Containers": 3,
    "ContainersRunning": 1,
    "ContainersPaused": 0,
    "ContainersStopped": 2,
    "Images": 4,
    "Driver": "volfuse",
    "DriverStatus": [["Backing Filesystem", "extfs"]],
    "Plugins": {"Volume": ["local"], "Network": ["none"], "Authorization": None, "Log": ["json-file"]},
    "LoggingDriver": "json-file",
    "CgroupDriver": "none",
    "CgroupVersion": "2",
    "KernelVersion": "6.1",
    "OperatingSystem": "Debian",
    "OSType": "linux",
    "Architecture": "x86_64",
    "NCPU": 2,
    "MemTotal": 8589934592,
    "DockerRootDir": "/r",
    "Name": "host",
    "ServerVersion": "0.1.0",
    "Swarm": {"LocalNodeState": "inactive"},
    "Warnings": ["WARNING: no limits"],
}
DISK_USAGE: dict[str, Any] = {
    "LayersSize": 12345678,
    "Images": [IMAGE | {"Containers": 1, "SharedSize": 5}, LOOSE_IMAGE | {"Containers": 0, "SharedSize": 0}],
    "Containers": [LISTED, LISTED_OTHER],
    "Volumes": [
        VOLUME | {"UsageData": {"Size": 5000, "RefCount": 1}},
        ANONYMOUS | {"UsageData": {"Size": 7000, "RefCount": 0}},
    ],
    "BuildCache": [],
}

ROUTES: dict[str, Answer] = {
    "GET /containers/json": Reply([LISTED, LISTED_OTHER]),
    "GET /containers/web/json": Reply(INSPECTED),
    "GET /containers/nope/json": error(404, "No such container: nope"),
    "DELETE /containers/web": Reply(status=204),
    "DELETE /containers/nope": error(404, "No such container: nope"),
    "POST /containers/web/rename": Reply(status=204),
    "POST /containers/nope/rename": error(404, "No such container: nope"),
    "POST /containers/create": Reply({"Id": CONTAINER_ID, "Warnings": ["mind the gap"]}, 201),
    "POST /containers/prune": Reply({"ContainersDeleted": [CONTAINER_ID], "SpaceReclaimed": 1234}),
    "GET /images/json": Reply([IMAGE, LOOSE_IMAGE]),
    "GET /images/vtwo/json": Reply(INSPECTED_IMAGE),
    "GET /images/nope/json": error(404, "No such image: nope"),
    "GET /images/vtwo/history": Reply(HISTORY),
    "GET /images/nope/history": error(404, "No such image: nope:latest"),
    "DELETE /images/vtwo": Reply([{"Untagged": "vtwo:latest"}, {"Deleted": IMAGE_ID}]),
    "DELETE /images/nope": error(404, "No such image: nope:latest"),
    "POST /images/vtwo/tag": Reply(status=201),
    "POST /images/nope/tag": error(404, "No such image: nope:latest"),
    "POST /images/prune": Reply({"ImagesDeleted": [{"Untagged": "a:b"}, {"Deleted": "sha256:1"}], "SpaceReclaimed": 9}),
    "POST /images/create": Reply(chunks=[json.dumps({"status": IMAGE_ID}).encode() + b"\n"]),
    "POST /images/load": Reply(
        chunks=[b'{"stream":"Loaded image: r:t\\n"}\n'], headers={"Content-Type": "application/json"}
    ),
    "GET /volumes": Reply({"Volumes": [VOLUME, ANONYMOUS, VOLUME | {"Name": "v10"}], "Warnings": None}),
    "GET /volumes/v1": Reply(VOLUME),
    "GET /volumes/v2": Reply(VOLUME | {"Name": "v2"}),
    "GET /volumes/nope": error(404, "get nope: no such volume"),
    "DELETE /volumes/v1": Reply(status=204),
    "DELETE /volumes/v2": Reply(status=204),
    "DELETE /volumes/nope": error(404, "get nope: no such volume"),
    "POST /volumes/create": lambda request: Reply(VOLUME | {"Name": request.json.get("Name") or VOLUME_ID}, 201),
    "POST /volumes/prune": Reply({"VolumesDeleted": ["v1", "v2"], "SpaceReclaimed": 12345}),
    "GET /events": Reply(chunks=[json.dumps(event).encode() + b"\n" for event in EVENTS]),
    "GET /version": Reply(VERSION),
    "GET /info": Reply(INFO),
    "GET /system/df": Reply(DISK_USAGE),
    **dict.fromkeys(
        (f"POST /containers/web/{action}" for action in ("stop", "restart", "kill", "pause", "unpause")),
        Reply(status=204),
    ),
    "POST /containers/web2/stop": Reply(status=304),
    "POST /containers/web/wait": Reply({"StatusCode": 137}),
    "POST /containers/web/update": Reply({"Warnings": ["mind the gap"]}),
    "GET /containers/web/top": Reply(
        {"Titles": ["UID", "PID", "CMD"], "Processes": [["root", "1", "sh -c x"], ["u", "2", "y"]]}
    ),
    "GET /containers/web/changes": Reply(
        [{"Path": "/a", "Kind": 0}, {"Path": "/a/b c", "Kind": 1}, {"Path": "/d", "Kind": 2}]
    ),
    f"GET /containers/{CONTAINER_ID}/logs": Reply(
        chunks=[b"\1\0\0\0\0\0\0\5out\n", b"!\2\0\0\0\0\0\0\4err\n"],
        headers={"Content-Type": "application/vnd.docker.multiplexed-stream"},
    ),
    "GET /containers/web/export": Reply(chunks=[b"tar", b"ball"], headers={"Content-Type": "application/x-tar"}),
    "POST /commit": lambda request: (
        Reply({"Id": IMAGE_ID}, 201) if request.query["container"] == ["web"] else error(404, "No such container: nope")
    ),
    **{
        f"{method} /containers/nope/{action}": error(404, "No such container: nope")
        for method, action in (
            ("POST", "stop"),
            ("POST", "restart"),
            ("POST", "kill"),
            ("POST", "pause"),
            ("POST", "unpause"),
            ("POST", "wait"),
            ("POST", "update"),
            ("GET", "top"),
            ("GET", "changes"),
            ("GET", "export"),
        )
    },
    # what docker asks besides, and volfuse has not
    "GET /networks/nope": error(404, "network nope not found"),
    "GET /networks/v1": error(404, "network v1 not found"),
    "POST /networks/prune": Reply({"NetworksDeleted": None}),
    "POST /build/prune": Reply({"CachesDeleted": None, "SpaceReclaimed": 0}),
}
FOREIGN = ("/networks", "/plugins", "/build", "/info", "/_ping")
