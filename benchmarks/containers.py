"""What many containers cost: the create of the last against that of the first, memory, and a start with them all."""

from __future__ import annotations

import io
import statistics
import tarfile
import time
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from volfuse.cli.client import Client
from volfuse.testing import DaemonProcess

__all__ = ["create", "import_empty", "measure_containers"]

_VOLUMES = 50
_SAMPLE = 10


def measure_containers(root: Path, count: int) -> None:
    """Create `count` containers on 50 volumes, each with a volume of its own and one that it shares; print costs."""
    with DaemonProcess(root) as daemon:
        client = Client(str(daemon.socket))
        import_empty(client)
        times = [_timed_create(client, number) for number in range(count)]
        client.close()
        memory = _resident_bytes(daemon.pid)
    first, last = statistics.median(times[:_SAMPLE]), statistics.median(times[-_SAMPLE:])
    begin = time.perf_counter()
    with DaemonProcess(root) as daemon:
        start = time.perf_counter() - begin
        shown = len(list(daemon.views.iterdir()))
    print(f"{count} containers on {_VOLUMES} volumes")
    print(f"create, median of the last {_SAMPLE} against the first {_SAMPLE}: {last / first:.2f}×")
    print(f"resident memory of the daemon: {memory / 1e6:.0f} MB")
    print(f"start with {shown} views: {start:.2f} s")


def import_empty(client: Client) -> None:
    """Import an image without files, called `empty`."""
    archive = io.BytesIO()
    tarfile.open(fileobj=archive, mode="w").close()
    archive.seek(0)
    reply: HTTPResponse = client.open("POST", "/images/create", {"fromSrc": "-", "repo": "empty"}, upload=archive)
    with reply:
        reply.read()


def create(client: Client, name: str, *, volumes: dict[str, Any] | None = None, **host: list[str]) -> None:
    """Create a container of the empty image."""
    names = {"volumes_from": "VolumesFrom", "binds": "Binds"}
    body = {"Image": "empty", "Cmd": ["true"], "Volumes": volumes, "HostConfig": {names[k]: v for k, v in host.items()}}
    client.post("/containers/create", {"name": name}, body)


def _timed_create(client: Client, number: int) -> float:
    begin = time.perf_counter()
    create(client, f"c{number}", binds=[f"shared{number % _VOLUMES}:/shared"])
    return time.perf_counter() - begin


def _resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the daemon is gone")
