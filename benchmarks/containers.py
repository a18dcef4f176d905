"""What many containers cost: the create of the last against that of the first, memory, and a start with them all."""

from __future__ import annotations

import io
import statistics
import tarfile
import time
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from benchmarks.results import Facts
from volfuse.cli.client import Client, Upload
from volfuse.testing import DaemonProcess

__all__ = ["create", "import_archive", "import_empty", "measure_containers", "resident_bytes"]

_VOLUMES = 50
_SAMPLE = 10


def measure_containers(root: Path, count: int) -> Facts:
    """Create `count` containers on 50 volumes, each with a volume of its own and one that it shares."""
    with DaemonProcess(root) as daemon:
        client = Client(str(daemon.socket))
        import_empty(client)
        empty = resident_bytes(daemon.pid)
        times = [_timed_create(client, number) for number in range(count)]
        client.close()
        memory = (resident_bytes(daemon.pid) - empty) / count
    begin = time.perf_counter()
    with DaemonProcess(root):
        start = time.perf_counter() - begin
    first, last = statistics.median(times[:_SAMPLE]), statistics.median(times[-_SAMPLE:])
    rows = [
        (f"create of the last {_SAMPLE} against the first {_SAMPLE}", last / first, "×"),
        ("memory of the daemon for each container", memory / 1024, "KiB"),
        ("start with them all, in creates of one", start / first, "×"),
    ]
    return Facts(
        "containers", f"{count} containers", f"On {_VOLUMES} volumes, each shared by {count // _VOLUMES}.", rows
    )


def import_empty(client: Client) -> None:
    """Import an image without files, called `empty`."""
    archive = io.BytesIO()
    tarfile.open(fileobj=archive, mode="w").close()
    archive.seek(0)
    _import(client, archive, "empty")


def import_archive(client: Client, path: Path, name: str) -> None:
    """Import an image from an archive."""
    with open(path, "rb") as archive:
        _import(client, archive, name)


def create(
    client: Client, name: str, *, image: str = "empty", volumes: dict[str, Any] | None = None, **host: list[str]
) -> None:
    """Create a container."""
    names = {"volumes_from": "VolumesFrom", "binds": "Binds"}
    body = {"Image": image, "Cmd": ["true"], "Volumes": volumes, "HostConfig": {names[k]: v for k, v in host.items()}}
    client.post("/containers/create", {"name": name}, body)


def _import(client: Client, archive: Upload, name: str) -> None:
    reply: HTTPResponse = client.open("POST", "/images/create", {"fromSrc": "-", "repo": name}, upload=archive)
    with reply:
        reply.read()


def _timed_create(client: Client, number: int) -> float:
    begin = time.perf_counter()
    create(client, f"c{number}", binds=[f"shared{number % _VOLUMES}:/shared"])
    return time.perf_counter() - begin


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the process is gone")
