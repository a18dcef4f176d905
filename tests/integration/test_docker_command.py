"""The unmodified `docker` command drives the daemon."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.integration.conftest import rootfs


@pytest.fixture
def imported(docker_command):
    """An image made with `docker import`."""
    docker_command("import", "--change", "VOLUME /volume01", "--change", 'CMD ["sh"]', "-", "small:1", stdin=rootfs())
    return "small:1"


def test_version_and_info(docker_command, daemon):
    assert docker_command("version", "--format", "{{.Server.APIVersion}}").stdout == "1.51\n"
    assert "Engine" in docker_command("version").stdout
    info = docker_command("info")
    assert f"Docker Root Dir: {daemon.root}" in info.stdout
    assert "Error" not in info.stdout + info.stderr


def test_images(docker_command, imported):
    assert docker_command("images", "--format", "{{.Repository}}:{{.Tag}}").stdout == "small:1\n"
    docker_command("tag", imported, "other:2")
    volumes = docker_command("image", "inspect", "-f", "{{json .Config.Volumes}}", "other:2").stdout
    assert volumes == '{"/volume01":{}}\n'
    assert "other:2" in docker_command("rmi", "other:2").stdout
    assert docker_command("history", "-q", imported).stdout.strip()
    assert "No such image: nope:latest" in docker_command("image", "inspect", "nope", status=1).stderr


def test_create_list_inspect_remove(docker_command, imported, daemon):
    one = docker_command("create", "--name", "one", "-v", "named:/data:ro", imported, "sh", "-c", "true").stdout.strip()
    docker_command("create", "--name", "two", "--volumes-from", "one", imported)
    assert docker_command("ps", "-aq", "--no-trunc", "--filter", "name=one").stdout.strip() == one
    assert docker_command("ps", "-a", "--format", "{{.Names}} {{.Status}}").stdout == "two Created\none Created\n"
    template = "{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}};{{end}}"
    assert docker_command("inspect", "-f", template, "two").stdout == "volume /data false;volume /volume01 true;\n"
    (daemon.views / "one" / "volume01" / "t1.md").write_text("hi")
    assert (daemon.views / "two" / "volume01" / "t1.md").read_text() == "hi"
    docker_command("rename", "two", "three")
    assert sorted(p.name for p in daemon.views.iterdir()) == ["one", "three"]
    docker_command("rm", "-v", "one", "three")
    assert docker_command("volume", "ls", "-q").stdout == "named\n"


def test_errors_come_as_docker_words_them(docker_command, imported):
    docker_command("create", "--name", "one", "-v", "named:/data", imported)
    taken = docker_command("create", "--name", "one", imported, status=1).stderr
    assert 'Error response from daemon: Conflict. The container name "/one" is already in use' in taken
    in_use = docker_command("volume", "rm", "named", status=1).stderr
    assert "remove named: volume is in use - [" in in_use
    assert "No such container: nope" in docker_command("rm", "nope", status=1).stderr
    assert "get nope: no such volume" in docker_command("volume", "inspect", "nope", status=1).stderr


def test_run_of_an_unknown_image_does_not_hang(docker_command):
    assert "does not pull" in docker_command("run", "nope", status=125).stderr


def test_volumes(docker_command):
    assert docker_command("volume", "create", "--label", "a=b", "shared").stdout == "shared\n"
    inspected = json.loads(docker_command("volume", "inspect", "shared").stdout)
    assert inspected[0]["Labels"] == {"a": "b"}
    assert Path(inspected[0]["Mountpoint"]).is_dir()
    assert docker_command("volume", "ls", "-q", "-f", "dangling=1").stdout == "shared\n"
    assert "shared" in docker_command("volume", "prune", "-af").stdout
    assert "invalid filter 'odd'" in docker_command("volume", "ls", "-f", "odd=1", status=1).stderr


def test_coherence(docker_command, imported, tmp_path):
    docker_command("volume", "create", "--opt", "coherence=lease", "leased")
    assert docker_command("volume", "inspect", "-f", "{{json .Options}}", "leased").stdout == '{"coherence":"lease"}\n'
    mounts = ("-v", f"{tmp_path}:/host:ro,coherence=exact", "-v", "leased:/leased")
    own = ("--mount", "type=volume,src=leased,dst=/own,volume-opt=coherence=strict")
    docker_command("create", "--name", "one", *mounts, *own, imported)
    docker_command("create", "--name", "two", "--volumes-from", "one", imported)
    shown = json.loads(docker_command("inspect", "two").stdout)[0]["Mounts"]
    chosen = {mount["Destination"]: mount.get("Coherence") for mount in shown}
    assert chosen == {"/host": "exact", "/leased": "lease", "/own": "strict", "/volume01": None}
    assert "Coherence: strict" in docker_command("info").stdout
    refused = docker_command("volume", "create", "--opt", "coherence=fast", "vol", status=1).stderr
    assert "invalid value for coherence: fast" in refused
    refused = docker_command("volume", "create", "--opt", "type=nfs", "--opt", "device=:/x", "vol", status=1).stderr
    assert "volfuse does not mount file systems on volumes" in refused
    twice = docker_command("create", "-v", "vol:/m:coherence=lease,coherence=exact", imported, status=1).stderr
    assert "invalid mode: coherence=lease,coherence=exact" in twice


def test_cp_both_ways(docker_command, imported, daemon, tmp_path):
    docker_command("create", "--name", "one", imported)
    (tmp_path / "in.txt").write_text("in")
    docker_command("cp", str(tmp_path / "in.txt"), "one:/volume01/")
    assert (daemon.views / "one" / "volume01" / "in.txt").read_text() == "in"
    docker_command("cp", "one:/volume01/in.txt", str(tmp_path / "out.txt"))
    assert (tmp_path / "out.txt").read_text() == "in"
    assert "Could not find the file /nope in container one" in docker_command("cp", "one:/nope", "-", status=1).stderr


def test_events_and_disk_usage(docker_command, imported):
    docker_command("volume", "create", "shared")
    until = str(int(time.time()) + 1)  # whole seconds only, so one later than the events
    lines = docker_command("events", "--since", "1m", "--until", until, "--format", "{{.Type}} {{.Action}}").stdout
    assert "image import\n" in lines and "volume create\n" in lines
    usage = docker_command("system", "df").stdout
    assert "Local Volumes" in usage
    assert "shared" in docker_command("system", "df", "-v").stdout


def test_system_prune(docker_command, imported):
    docker_command("create", "--name", "one", imported)
    assert "Total reclaimed space" in docker_command("system", "prune", "-f").stdout
    assert docker_command("ps", "-aq").stdout == ""
