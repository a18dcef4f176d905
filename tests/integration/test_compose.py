"""Compose, where it is installed, drives volfuse: a shared volume and `volumes_from`, on a network or on none.

`docker-compose` 1.29 is a package of Debian 12; that of Debian 13 brings the plugin, `docker compose`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from volfuse.testing import DaemonProcess

_FILE = """version: "2.4"
services:
  a: {{image: "busybox:1", command: "sleep 1000", {network} volumes: ["vol:/shared"]}}
  b: {{image: "busybox:1", command: "sleep 1000", {network} volumes: ["vol:/shared"]}}
  c: {{image: "busybox:1", command: "sleep 1000", {network} volumes_from: [a]}}
volumes: {{vol: {{}}}}
"""


def _works(*command: str) -> bool:
    return bool(shutil.which(command[0])) and subprocess.run([*command, "version"], capture_output=True).returncode == 0


@pytest.mark.parametrize("command", [("docker-compose",), ("docker", "compose")], ids=" ".join)
@pytest.mark.parametrize("network", ["", "network_mode: none,"])
def test_services_share_a_named_volume_and_volumes_from(
    daemon: DaemonProcess, busybox: str, tmp_path: Path, command: tuple[str, ...], network: str
) -> None:
    if not _works(*command):
        pytest.skip(f"{' '.join(command)} is not installed")
    project = tmp_path / "project"
    project.mkdir()
    (project / "docker-compose.yml").write_text(_FILE.format(network=network))
    environ = {**os.environ, "DOCKER_HOST": daemon.docker_host}

    def compose(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], cwd=project, env=environ, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    compose("up", "-d")
    compose("exec", "-T", "a", "sh", "-c", "echo hi > /shared/x")
    assert compose("exec", "-T", "b", "cat", "/shared/x") == "hi\n"
    assert compose("exec", "-T", "c", "cat", "/shared/x") == "hi\n"
    compose("down", "-v", "-t", "0")
    docker = subprocess.run(["docker", "network", "ls", "-q"], env=environ, capture_output=True, text=True)
    assert docker.stdout == ""
