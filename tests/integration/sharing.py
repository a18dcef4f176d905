"""Two containers that share a volume, under the kernel transport."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.integration.conftest import rootfs
from tests.integration.inotify import DEADLINE_S, Inotify
from tests.support import needs
from volfuse.testing import DaemonProcess

__all__ = ["Sharing", "sharing"]


@dataclass
class Sharing:
    """A volume in the containers `one` and `two`, and on the host."""

    daemon: DaemonProcess
    client: docker.DockerClient
    one: Path
    two: Path
    host: Path

    def create(self, name: str, **options: object) -> Path:
        """Make another container with the volume; return where it shows it."""
        config = self.client.api.create_host_config(volumes_from=["one"], **options)
        self.client.api.create_container("small:1", name=name, host_config=config)
        return self.daemon.views / name / "v"

    def heard(
        self, watcher: Inotify, directory: str, label: str, *, author: Path | None = None, last: str = "DELETE"
    ) -> None:
        """Wait until a watcher in a view hears of a directory; nothing is left to be heard then.

        Args:
            author: another side than `one`.
            last: what is heard last of a directory that is made and removed.
        """
        end_s = time.monotonic() + DEADLINE_S
        number = 0
        found: list[str] = []
        while not found:
            assert time.monotonic() < end_s, f"the watch of {directory!r} was not found"
            number += 1
            probe = (author or self.one) / directory / f"probe-{number}"
            probe.mkdir()
            probe.rmdir()
            if select.select([watcher.fd], [], [], 0.02)[0]:
                found = watcher.ready()
        end = (author or self.one) / directory / f"end-{number}"
        end.mkdir()
        end.rmdir()
        watcher.until(f"{label} {last}|ISDIR end-{number}")


@contextmanager
def sharing(tmp_path: Path, transport: str = "kernel") -> Iterator[Sharing]:
    """Start a daemon with both containers."""
    needs(os.geteuid() == 0, "the host's side of a volume is root's")
    needs(transport == "fusepy" or os.path.exists("/dev/fuse"), "there is no /dev/fuse")
    with DaemonProcess(tmp_path / "root", "--transport", transport) as daemon:
        client = docker.DockerClient(base_url=daemon.docker_host)
        client.api.import_image_from_data(rootfs(), repository="small", tag="1")
        config = client.api.create_host_config
        client.api.create_container("small:1", name="one", host_config=config(binds=["data:/v"]))
        client.api.create_container("small:1", name="two", host_config=config(volumes_from=["one"]))
        host = Path(client.api.inspect_volume("data")["Mountpoint"])
        try:
            yield Sharing(daemon, client, daemon.views / "one/v", daemon.views / "two/v", host)
        finally:
            client.close()
    assert "Traceback" not in daemon.log, daemon.log
