"""Limits, what containers use, and what is refused, by the `docker` command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import busybox_rootfs
from tests.support import needs
from volfuse.core.resources import Controller
from volfuse.runner.cgroups import Cgroups
from volfuse.testing import DaemonProcess


@pytest.fixture(autouse=True)
def no_cgroup_left():
    """Containers take their cgroups along."""
    found = Cgroups.find()
    needs({Controller.MEMORY, Controller.PIDS, Controller.CPU} <= found.controllers, f"no cgroups: {found.reason}")
    roots = set(found.roots.values())
    before = {path for root in roots for path in root.glob("volfuse-*")}
    yield
    assert {path for root in roots for path in root.glob("volfuse-*")} - before == set()


def test_memory(docker_command, busybox):
    hungry = "x=aaaaaaaa; while :; do x=$x$x; done"
    docker_command("run", "--name", "one", "--memory", "16m", busybox, "sh", "-c", hungry, status=137)
    state = json.loads(docker_command("inspect", "-f", "{{json .State}}", "one").stdout)
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)
    host = json.loads(docker_command("inspect", "-f", "{{json .HostConfig}}", "one").stdout)
    assert (host["Memory"], host["MemorySwap"]) == (16 << 20, 32 << 20)


def test_processes_and_update(docker_command, busybox):
    docker_command("run", "-d", "--name", "one", "--pids-limit", "1", busybox, "sleep", "600")
    docker_command("exec", "one", "sh", "-c", "(true); true", status=2)  # the shell cannot fork
    docker_command("update", "--pids-limit", "20", "--cpus", "0.5", "one")
    docker_command("exec", "one", "sh", "-c", "(true); true")
    assert docker_command("inspect", "-f", "{{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}}", "one").stdout == (
        "20 500000000\n"
    )
    refused = docker_command("update", "--memory", "1m", "one", status=1).stderr
    assert "Minimum memory limit allowed is 6MB" in refused
    docker_command("rm", "-f", "one")


def test_stats(docker_command, sdk, busybox):
    docker_command("run", "-d", "--name", "one", "--memory", "64m", busybox, "sh", "-c", "while :; do :; done")
    docker_command("create", "--name", "two", busybox, "true")
    row = docker_command("stats", "--no-stream", "--format", "{{.CPUPerc}} {{.MemUsage}} {{.PIDs}}", "one").stdout
    percent, _, _, limit, pids = row.split()
    assert 1 < float(percent.rstrip("%")) < 150
    assert (limit, pids) == ("64MiB", "1")
    samples = sdk.containers.get("one").stats(decode=True)
    first, second = next(samples), next(samples)
    samples.close()
    assert second["precpu_stats"] == first["cpu_stats"]
    assert second["cpu_stats"]["cpu_usage"]["total_usage"] > first["cpu_stats"]["cpu_usage"]["total_usage"]
    assert sdk.containers.get("two").stats(stream=False)["pids_stats"] == {}
    docker_command("rm", "-f", "one")


def test_a_paused_container_of_a_killed_daemon_is_over(tmp_path: Path):
    root = tmp_path / "root"
    with DaemonProcess(root) as first:
        client = docker.DockerClient(base_url=first.docker_host)
        client.api.import_image_from_data(busybox_rootfs(), repository="busybox", tag="1")
        container = client.containers.run("busybox:1", ["sleep", "600"], detach=True)
        container.pause()
        container.reload()
        pid = container.attrs["State"]["Pid"]
        client.close()
        first.kill()
    with DaemonProcess(root) as second:
        client = docker.DockerClient(base_url=second.docker_host)
        container = client.containers.get(container.id)
        assert (container.status, container.attrs["State"]["ExitCode"]) == ("exited", 255)
        assert not os.path.exists(f"/proc/{pid}")
        container.start()
        container.remove(force=True)
        client.close()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--pid", "host"), "volfuse does not support --pid: each container has a process namespace of its own"),
        (("--device", "/dev/fuse"), "volfuse does not support --device: containers get the usual devices only"),
        (("--log-driver", "syslog"), "volfuse does not support --log-driver: use json-file, local or none"),
        (("--runtime", "x"), "unknown or invalid runtime name: x"),
        (("-w", "here"), "the working directory 'here' is invalid, it needs to be an absolute path"),
    ],
)
def test_what_is_not_supported_is_refused_with_a_sentence(docker_command, busybox, options, sentence):
    assert (
        f"Error response from daemon: {sentence}\n"
        in docker_command("run", *options, busybox, "true", status=125).stderr
    )
    assert docker_command("ps", "-aq").stdout == ""


def test_what_is_left_out_is_a_warning(docker_command, busybox):
    said = docker_command("run", "--rm", "-p", "80:80", "--blkio-weight", "10", busybox, "true").stderr
    assert said == (
        "WARNING: volfuse does not support weights of block I/O: discarded\n"
        "WARNING: Published ports are discarded as containers have no network\n"
    )


def test_output_that_is_not_kept(docker_command, busybox):
    assert docker_command("run", "--name", "one", "--log-driver", "none", busybox, "echo", "hi").stdout == "hi\n"
    said = docker_command("logs", "one", status=1).stderr
    assert "configured logging driver does not support reading" in said


def test_names_and_servers(docker_command, busybox):
    options = ("-h", "host1", "--domainname", "d.example", "--dns", "192.0.2.1", "--dns-search", "d.example")
    show = "hostname; cat /proc/sys/kernel/domainname /etc/resolv.conf; cat /proc/self/oom_score_adj"
    shown = docker_command("run", "--rm", *options, "--oom-score-adj", "300", busybox, "sh", "-c", show).stdout
    assert shown == "host1\nd.example\nnameserver 192.0.2.1\nsearch d.example\n300\n"
