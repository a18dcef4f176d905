"""A real daemon, Docker's SDK and the `docker` command as its clients."""

from __future__ import annotations

import gc
import io
import os
import shutil
import subprocess
import tarfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.support import needs
from volfuse.sys.mountinfo import read_mountinfo
from volfuse.testing import DaemonProcess
from volfuse.transport.stalemounts import mounts_below

__all__ = ["Docker", "busybox_rootfs", "rootfs"]

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


def busybox_rootfs() -> bytes:
    """Return a tar of a root file system in which programs can run."""
    busybox = shutil.which("busybox")
    needs(busybox is not None, "busybox is not installed (Debian package busybox-static)")
    needs(shutil.which("bwrap") is not None, "bubblewrap is not installed")
    assert busybox is not None
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("home", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, mode
            tar.addfile(directory)
        for name, content in (
            ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home:/bin/sh\n"),
            ("etc/group", b"root:x:0:\nann:x:1000:\nstaff:x:50:ann\n"),
        ):
            file = tarfile.TarInfo(name)
            file.size = len(content)
            tar.addfile(file, io.BytesIO(content))
        program = tarfile.TarInfo("bin/busybox")
        program.mode, program.size = 0o755, os.path.getsize(busybox)
        with open(busybox, "rb") as content_file:
            tar.addfile(program, content_file)
        for name in sorted(set(names) - {"busybox"}):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
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
        left = list(mounts_below(os.fsencode(process.views), read_mountinfo()))
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
def sockets_of_the_sdk() -> Iterator[None]:
    """Collect what the SDK leaves to the garbage collector: the sockets of hijacked connections."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


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


@pytest.fixture
def busybox(sdk: docker.DockerClient) -> str:
    """An image in which programs can run, with the volume `/data`."""
    sdk.api.import_image_from_data(busybox_rootfs(), repository="busybox", tag="1", changes=["VOLUME /data"])
    return "busybox:1"
