"""The daemon's end while containers run: quick, quiet, and nothing is left."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import busybox_rootfs
from tests.support import needs
from volfuse.sys.mountinfo import read_mountinfo
from volfuse.testing import DaemonProcess
from volfuse.transport.stalemounts import mounts_below

_LONGEST_S = 10.0
_BUSY = "while :; do dd if=/dev/zero of=/data/f bs=64k count=16 2>/dev/null; cat /data/f >/w; ls -lR /bin >/w; done"
_NOISY = "while :; do echo x; done"


@pytest.mark.usefixtures("sockets_of_the_sdk")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("transport", ["kernel", "fusepy"])
def test_daemon_with_busy_and_attached_containers_ends_quickly_and_leaves_nothing(
    tmp_path: Path, transport: str
) -> None:
    needs(os.access("/dev/fuse", os.R_OK | os.W_OK), "/dev/fuse cannot be opened")
    needs(os.geteuid() == 0, "containers of one daemon are told by their processes, which only root sees")
    archive = busybox_rootfs()
    for round_ in range(3):
        process = DaemonProcess(tmp_path / f"root{round_}", "--transport", transport)
        with ExitStack() as stack:
            stack.enter_context(process)
            client = docker.DockerClient(base_url=process.docker_host)
            stack.callback(client.close)
            client.api.import_image_from_data(archive, repository="busybox", tag="1", changes=["VOLUME /data"])
            shared = {"shared": {"bind": "/data", "mode": "rw"}}
            programs = [
                client.containers.run("busybox:1", ["sh", "-c", script], detach=True, volumes=shared)
                for script in (_BUSY, _BUSY, _NOISY, "sleep 1000")
            ]
            attached = [programs[2].attach_socket(params={"stdout": 1, "stream": 1}), programs[3].attach_socket()]
            for connection in attached:
                stack.callback(connection.close)
            follow = programs[2].logs(stream=True, follow=True)
            stack.callback(follow.close)
            next(follow)
            pids = [_pid(c) for c in programs]
            began = time.monotonic()
            status = process.stop()
            took_s = time.monotonic() - began
        assert status == 0, process.log
        assert took_s < _LONGEST_S
        assert not [line for line in process.log.splitlines() if "[error" in line or "[warning" in line]
        assert "Traceback" not in process.log
        assert list(mounts_below(os.fsencode(process.views), read_mountinfo())) == []
        assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


def _pid(container: docker.models.containers.Container) -> int:
    container.reload()
    pid: int = container.attrs["State"]["Pid"]
    return pid
