"""A running container is renamed: its programs go on, with everything that is mounted in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import busybox_rootfs
from tests.support import needs
from volfuse.testing import DaemonProcess


@pytest.fixture(params=["kernel", "fusepy"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[docker.DockerClient, DaemonProcess]]:
    needs(os.geteuid() == 0, "mounts need root")
    with DaemonProcess(tmp_path / "root", "--transport", request.param) as daemon:
        client = docker.DockerClient(base_url=daemon.docker_host, timeout=60)
        tar = busybox_rootfs()
        client.api.import_image_from_data(tar, repository="busybox", tag="1", changes=["VOLUME /data"])
        yield client, daemon
        client.close()
        assert "Traceback" not in daemon.log, daemon.log


def test_programs_of_a_renamed_container_go_on(client: tuple[docker.DockerClient, DaemonProcess]) -> None:
    sdk, daemon = client
    container = sdk.containers.run(
        "busybox:1", ["sh", "-c", "cd /home; echo kept > own; sleep 600"], detach=True, name="old", tmpfs={"/run": ""}
    )

    (volume,) = (daemon.root / "volumes").iterdir()

    def run(command: str) -> str:
        # By a file: docker-py loses output that comes in one segment with the head of the reply.
        done = container.exec_run(["sh", "-c", f"{{ {command}; }} > /data/answer 2>&1"])
        text = (volume / "_data/answer").read_text()
        assert done.exit_code == 0, text + done.output.decode()
        return text

    run("mkdir -p /run/deep; echo scratch > /run/deep/file; echo volume > /data/file")
    mounts = "cut -d' ' -f2 /proc/1/mounts | sort"
    before = run(mounts)
    for number in range(3):
        container.rename(f"new{number}")
        view = daemon.views / f"new{number}"
        assert os.listdir(daemon.views) == [f"new{number}"]
        assert (view / "data/file").read_text() == "volume\n"  # a look from the host asks for the names again
        assert os.stat(view / "home").st_ino
        assert run("cat /run/deep/file /data/file /home/own") == "scratch\nvolume\nkept\n"
        assert run(mounts) == before
        assert run("cat /proc/1/cwd/own; echo more > /proc/1/cwd/more; cat /home/more") == "kept\nmore\n"
        assert run("test -c /dev/null && grep -c sleep /proc/1/cmdline") == "1\n"
        (view / "data/from-host").write_text(f"{number}\n")
        (view / "home/from-host").write_text(f"{number}\n")
        assert run("cat /data/from-host /home/from-host") == f"{number}\n{number}\n"
        assert container.top()["Processes"]
    container.restart(timeout=0)
    assert run("cat /data/file /home/own") == "volume\nkept\n"
    container.remove(force=True)
    assert os.listdir(daemon.views) == []
