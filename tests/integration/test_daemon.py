"""The daemon's life: one a root, clean end, crash, restart."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import rootfs
from volfuse.sys.mountinfo import read_mountinfo
from volfuse.testing import DaemonDied, DaemonProcess
from volfuse.transport.stalemounts import mounts_below


def volfused(*arguments, below=()):
    command = [*below, sys.executable, "-m", "volfuse.daemon", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def client_of(daemon):
    return docker.DockerClient(base_url=daemon.docker_host)


def test_a_second_daemon_says_who_holds_the_root(daemon, tmp_path):
    done = volfused("--root", daemon.root, "--socket", tmp_path / "other.sock")
    assert done.returncode == 75
    assert f"process id {daemon.pid}" in done.stderr
    assert not (tmp_path / "other.sock").exists()


def test_the_socket_is_for_its_owner_only(daemon):
    assert daemon.socket.stat().st_mode & 0o777 == 0o600


def test_a_socket_in_use_is_left_alone(daemon, tmp_path):
    done = volfused("--root", tmp_path / "second", "--socket", daemon.socket)
    assert done.returncode == 1
    assert "another process does" in done.stderr
    client = client_of(daemon)
    assert client.ping()
    client.close()


def without_fuse(*arguments):
    """Run volfused where /dev/fuse is no FUSE device."""
    hidden = ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /dev/fuse && exec "$@"', "sh"]
    return volfused(*arguments, below=hidden)


@pytest.mark.parametrize("transport", ["kernel", "fusepy", "auto"])
def test_a_transport_that_is_not_there_is_a_clear_error(tmp_path, transport):
    done = without_fuse("--root", tmp_path / "root", "--transport", transport)
    assert done.returncode == 1
    assert "/dev/fuse" in done.stderr or "libfuse cannot mount" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(mounts_below(os.fsencode(tmp_path), read_mountinfo())) == []


def test_json_logs_are_objects(daemon):
    done = volfused("--root", daemon.root, "--log-format", "json")
    assert done.returncode == 75
    assert all(line.startswith("{") and line.endswith("}") for line in done.stderr.splitlines())


def test_the_kernel_transport_is_chosen_where_it_works(daemon):
    assert "transport=kernel" in daemon.log


@pytest.mark.parametrize(
    ("arguments", "environ"), [(["--coherence", "lease"], {}), ([], {"VOLFUSE_COHERENCE": "lease"})]
)
def test_the_default_coherence_is_in_force_and_told(tmp_path, arguments, environ):
    with DaemonProcess(tmp_path / "root", *arguments, environ=environ) as daemon:
        client = client_of(daemon)
        client.api.import_image_from_data(rootfs(), repository="small", tag="1")
        client.api.create_container("small:1", name="one", volumes=["/data"])
        (view,) = client.api.get(f"{client.api.base_url}/volfuse/views").json()
        findings = client.api.get(f"{client.api.base_url}/volfuse/doctor").json()
        info = client.info()
        client.close()
    assert [mount["Coherence"] for mount in view["Mounts"]] == ["lease"]
    assert ["Coherence", "lease"] in info["DriverStatus"]
    (finding,) = [finding for finding in findings if finding["Capability"] == "coherence"]
    assert (finding["State"], finding["Detail"]) == ("ok", "lease where a volume, bind or mount chooses none")


NO_WATCHES = """
import errno, os
from volfuse.sys import inotify
from volfuse.errors import Unavailable
def add_watch(*_):
    raise Unavailable("inotify: no more watches: raise fs.inotify.max_user_watches")
inotify.add_watch = add_watch
"""


def test_without_watches_a_leased_volume_is_strict_and_that_is_told(tmp_path):
    (tmp_path / "python").mkdir()
    (tmp_path / "python/sitecustomize.py").write_text(NO_WATCHES)
    environ = {"PYTHONPATH": str(tmp_path / "python")}
    with DaemonProcess(tmp_path / "root", "--coherence", "lease", environ=environ) as daemon:
        client = client_of(daemon)
        client.api.import_image_from_data(rootfs(), repository="small", tag="1")
        for name in ("one", "two"):
            client.containers.create("small:1", name=name, volumes=["shared:/data"])
            (daemon.views / name / "data/f").write_text("used")
        told = [client.api.get(f"{client.api.base_url}/volfuse/{what}").json() for what in ("views", "doctor")]
        client.close()
        reason = "inotify: no more watches: raise fs.inotify.max_user_watches"
        for view in told[0]:
            assert [(m["Coherence"], m["CoherenceReason"]) for m in view["Mounts"]] == [("strict", reason)]
        (finding,) = [finding for finding in told[1] if finding["Capability"] == "leases"]
        assert (finding["State"], finding["Detail"]) == ("degraded", f"strict instead: shared: {reason}")
        assert daemon.log.count(f"shared is strict instead of leased: {reason}") == 2


def test_a_default_coherence_that_is_none_is_refused(tmp_path, monkeypatch):
    done = volfused("--root", tmp_path / "root", "--coherence", "fast")
    assert done.returncode == 2
    assert "argument --coherence: invalid choice: 'fast'" in done.stderr
    monkeypatch.setenv("VOLFUSE_COHERENCE", "fast")
    done = volfused("--root", tmp_path / "root")
    assert done.returncode == 1
    assert "VOLFUSE_COHERENCE: invalid value for coherence: fast" in done.stderr
    assert not (tmp_path / "root").exists()


def test_the_transport_asked_for_is_used(tmp_path):
    with DaemonProcess(tmp_path / "root", "--transport", "fusepy") as daemon:
        assert "transport=fusepy" in daemon.log


def test_state_and_views_are_there_again_after_a_restart(daemon, sdk, image):
    container = sdk.api.create_container(image, name="keeper")
    Path(daemon.views, "keeper", "volume01", "note").write_text("kept")
    assert daemon.stop() == 0
    assert not daemon.socket.exists()
    assert os.listdir(daemon.views) == []
    daemon.start()
    assert Path(daemon.views, "keeper", "volume01", "note").read_text() == "kept"
    again = client_of(daemon)
    assert again.api.inspect_container("keeper")["Id"] == container["Id"]
    again.close()


def test_a_killed_daemon_leaves_nothing_that_hinders_the_next(daemon, sdk, image):
    sdk.api.create_container(image, name="keeper")
    Path(daemon.views, "keeper", "volume01", "note").write_text("kept")
    daemon.kill()
    with pytest.raises(OSError):
        os.listdir(daemon.views)
    daemon.start()
    assert Path(daemon.views, "keeper", "volume01", "note").read_text() == "kept"
    assert len(list(mounts_below(os.fsencode(daemon.views), read_mountinfo()))) == 1


def test_an_open_stream_does_not_hold_up_the_end(daemon, sdk):
    events = sdk.events()
    assert daemon.stop() == 0
    assert list(events) == []


def test_a_daemon_that_cannot_start_says_why(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "state.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(DaemonDied, match="state"), DaemonProcess(tmp_path / "root"):
        pass


def test_a_long_path_of_the_socket(tmp_path):
    directory = tmp_path / ("x" * 120)
    with DaemonProcess(tmp_path / "root", socket_path=directory / "volfuse.sock") as daemon:
        fd = os.open(directory, os.O_PATH)
        try:
            client = docker.DockerClient(base_url=f"unix:///proc/self/fd/{fd}/volfuse.sock")
            assert client.ping()
            client.close()
        finally:
            os.close(fd)
        assert daemon.stop() == 0


def test_views_elsewhere(tmp_path):
    with DaemonProcess(tmp_path / "root", views=tmp_path / "elsewhere") as daemon:
        client = client_of(daemon)
        client.api.import_image_from_data(rootfs(), repository="small")
        client.api.create_container("small", name="web")
        client.close()
        assert (tmp_path / "elsewhere" / "web" / "etc" / "issue").read_text() == "small\n"
        assert daemon.stop() == 0
    assert os.listdir(tmp_path / "elsewhere") == []


def test_clients_that_leave_in_the_middle_of_a_reply_do_no_harm(daemon, sdk, image):
    sdk.api.create_container(image, name="long")
    Path(daemon.views, "long", "volume01", "big").write_bytes(bytes(8 << 20))
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(daemon.socket))
            client.sendall(b"GET /containers/long/archive?path=/volume01/big HTTP/1.1\r\nHost: d\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
    assert sdk.ping()


def test_a_broken_pipe_does_not_end_the_daemon(daemon):
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    ignored = int(re.search(r"^SigIgn:\s*([0-9a-f]+)$", status, re.MULTILINE)[1], 16)
    assert ignored >> (signal.SIGPIPE - 1) & 1


def test_a_malformed_request_costs_one_line_of_log(daemon):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))
        client.sendall(b"GET /_ping HTTP/1.1\r\nA\x00: b\r\n\r\n")
        assert client.recv(64).startswith(b"HTTP/1.")
    assert [line for line in daemon.log.splitlines() if "Invalid header token" in line and "bad request" in line]
