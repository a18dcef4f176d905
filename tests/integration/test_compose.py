"""docker-compose 1.29, where it is installed, drives volfuse: a shared named volume and `volumes_from`, no network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from volfuse.testing import DaemonProcess

_FILE = """version: "2.4"
services:
  a: {image: "busybox:1", command: "sleep 1000", network_mode: none, volumes: ["v:/shared"]}
  b: {image: "busybox:1", command: "sleep 1000", network_mode: none, volumes: ["v:/shared"]}
  c: {image: "busybox:1", command: "sleep 1000", network_mode: none, volumes_from: [a]}
volumes: {v: {}}
"""


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_services_share_a_named_volume_and_volumes_from(daemon: DaemonProcess, busybox: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "docker-compose.yml").write_text(_FILE)
    environ = {**os.environ, "DOCKER_HOST": daemon.docker_host}

    def compose(*arguments: str) -> str:
        done = subprocess.run(
            ["docker-compose", *arguments], cwd=project, env=environ, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    compose("up", "-d")
    compose("exec", "-T", "a", "sh", "-c", "echo hi > /shared/x")
    assert compose("exec", "-T", "b", "cat", "/shared/x") == "hi\n"
    assert compose("exec", "-T", "c", "cat", "/shared/x") == "hi\n"
    compose("down", "-v", "-t", "0")
