"""A real daemon, Docker's SDK and the `docker` command as its clients."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.support import needs
from volfuse.daemon.stalemounts import fuse_mounts_below
from volfuse.sys.mountinfo import read_mountinfo
from volfuse.testing import DaemonProcess

__all__ = ["Docker", "rootfs"]

Docker = Callable[..., "subprocess.CompletedProcess[str]"]


def rootfs(files: dict[str, bytes] | None = None) -> bytes:
    """Return a tar of a small root file system."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("bin", "etc", "home", "tmp", "volume01"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(directory)
        for name, content in {"etc/issue": b"small\n", **(files or {})}.items():
            file = tarfile.TarInfo(name)
            file.size = len(content)
            tar.addfile(file, io.BytesIO(content))
    return archive.getvalue()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon on an empty root; at the end it must be gone without a trace."""
    needs(os.access("/dev/fuse", os.R_OK | os.W_OK), "/dev/fuse cannot be opened")
    process = DaemonProcess(tmp_path / "root")
    with process:
        pid = process.pid
        yield process
        running = process.running
        status = process.stop() if running else 0
        left = list(fuse_mounts_below(os.fsencode(process.views), read_mountinfo()))
    assert status == 0, process.log
    assert left == []
    assert not os.path.exists(f"/proc/{pid}")
    assert not process.socket.exists() or not running
    assert "Traceback" not in process.log, process.log


@pytest.fixture
def sdk(daemon: DaemonProcess) -> Iterator[docker.DockerClient]:
    """Docker's SDK, connected to the daemon."""
    client = docker.DockerClient(base_url=daemon.docker_host)
    yield client
    client.close()


@pytest.fixture
def image(sdk: docker.DockerClient) -> str:
    """An image with the volumes `/volume01` and `/volume02`."""
    sdk.api.import_image_from_data(rootfs(), repository="small", tag="1", changes=['VOLUME ["/volume01", "/volume02"]'])
    return "small:1"


@pytest.fixture
def docker_command(daemon: DaemonProcess, tmp_path: Path) -> Docker:
    """Runs the `docker` command; fails the test unless it ends with the expected status."""
    needs(shutil.which("docker") is not None, "the docker command is not installed")
    environ = {**os.environ, "DOCKER_HOST": daemon.docker_host, "DOCKER_CONFIG": str(tmp_path / "docker-config")}

    def run(*arguments: str, status: int = 0, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, env=environ, timeout=60)
        assert done.returncode == status, (arguments, done.stdout, done.stderr)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
