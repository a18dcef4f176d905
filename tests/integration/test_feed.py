"""The change feed of a real daemon, followed and asked by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from volfuse.testing import DaemonProcess

VOLFUSE = Path(sys.executable).parent / "volfuse"


class Follower:
    """A process that prints changes as they come."""

    def __init__(self, daemon: DaemonProcess, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [VOLFUSE, "--root", daemon.root, "events", "--changes", "--format", "json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def next(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the stream has ended"
        found: dict[str, object] = json.loads(line)
        return found

    def until(self, kind: str, path: str) -> list[tuple[object, object]]:
        found: list[tuple[object, object]] = []
        while not found or found[-1] != (kind, path):
            change = self.next()
            found.append((change["Kind"], change["Path"]))
        return found

    def ended(self) -> bytes:
        assert self._process.stdout is not None
        self._process.wait(20)
        return self._process.stdout.read()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def containers(sdk: docker.DockerClient, image: str) -> None:
    sdk.api.create_container(image, name="one", volumes=["/data"])
    sdk.api.create_container(
        image, name="two", host_config=sdk.api.create_host_config(volumes_from=["one"], binds=["shared:/named"])
    )


@pytest.fixture
def follow(daemon: DaemonProcess, containers: None) -> Iterator[Follower]:
    # From the beginning on: what is done before it is connected is not lost.
    follower = Follower(daemon, "--since", "1")
    yield follower
    follower.close()


def log(daemon: DaemonProcess, *arguments: object) -> list[dict[str, object]]:
    done = subprocess.run(
        [VOLFUSE, "--root", daemon.root, "log", "--format", "json", *map(str, arguments)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_follower_sees_who_changes_what(follow: Follower, daemon: DaemonProcess) -> None:
    data = daemon.views / "two" / "data"
    subprocess.run(["sh", "-c", 'echo hello >a && mkdir d && mv a d/b && rm "$PWD/d/b"'], cwd=data, check=True)
    create = follow.next()
    assert create["Kind"] == "create"
    assert (create["Path"], create["Container"], create["Origin"]) == ("a", "two", "container")
    assert (create["Command"], create["UID"]) == ("sh", os.getuid())
    assert follow.until("delete", "d/b") == [
        ("write", "a"), ("mkdir", "d"), ("rename", "a"), ("delete", "d/b"),
    ]  # fmt: skip


def test_one_volume_is_followed(daemon: DaemonProcess, containers: None) -> None:
    follower = Follower(daemon, "--since", "1", "--volume", "shared")
    try:
        (daemon.views / "one" / "data" / "other").touch()
        (daemon.views / "two" / "named" / "mine").touch()
        assert follower.until("create", "mine") == [("create", "mine")]
    finally:
        follower.close()


def test_who_touched_a_file_last(daemon: DaemonProcess, containers: None, sdk: docker.DockerClient) -> None:
    (daemon.views / "one" / "data" / "a").write_bytes(b"1")
    (daemon.views / "two" / "data" / "a").chmod(0o600)
    (daemon.views / "two" / "data" / "b").touch()
    volume = sdk.api.inspect_container("one")["Mounts"][0]["Name"]
    source = Path(sdk.api.inspect_volume(volume)["Mountpoint"])
    expected = [("create", "one"), ("write", "one"), ("attrib", "two")]
    for path in (daemon.views / "two" / "data" / "a", source / "a"):
        assert [(change["Kind"], change["Container"]) for change in log(daemon, path)] == expected
    assert [change["Path"] for change in log(daemon, "-n", "1", volume)] == ["b"]
    assert log(daemon, "-n", "1", source)[0]["Container"] == "two"


def test_a_path_that_nobody_follows_is_a_clear_error(daemon: DaemonProcess, containers: None, tmp_path: Path) -> None:
    for path, message in (
        (tmp_path, "not in a volume or bind of any container"),
        (daemon.views / "one" / "etc", "only container one has this file, its changes are not followed"),
    ):
        done = subprocess.run([VOLFUSE, "--root", daemon.root, "log", path], capture_output=True, text=True)
        assert done.returncode == 1
        assert message in done.stderr


def test_a_cursor_goes_on_or_says_that_it_cannot(daemon: DaemonProcess, containers: None) -> None:
    data = daemon.views / "one" / "data"
    (data / "a").mkdir()
    (data / "b").mkdir()
    first, second = log(daemon, data)
    follower = Follower(daemon, "--since", str(first["Cursor"]))
    assert follower.next() == second
    daemon.kill()
    follower.ended()
    follower.close()
    daemon.start()
    (data / "c").mkdir()
    again = Follower(daemon, "--since", str(second["Cursor"]))
    missed, change = again.next(), again.next()
    again.close()
    assert (missed["Missed"], missed["Reason"]) == (None, "the daemon has been started anew")
    assert change["Path"] == "c"


def test_followers_end_with_the_daemon(follow: Follower, daemon: DaemonProcess) -> None:
    (daemon.views / "one" / "data" / "a").mkdir()
    follow.until("mkdir", "a")
    assert daemon.stop() == 0
    assert follow.ended() == b""
