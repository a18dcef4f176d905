"""`volfuse ui` with a real daemon: who may ask, and what is answered."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.webpage import VOLFUSE, Event, WebPage
from volfuse.testing import DaemonProcess


@pytest.fixture
def page(daemon: DaemonProcess) -> Iterator[WebPage]:
    with WebPage("--root", str(daemon.root)) as page:
        yield page


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory, volfuse_daemon: object) -> Iterator[WebPage]:
    """A page of a daemon without containers, for tests that do nothing to it."""
    root = tmp_path_factory.mktemp("idle") / "root"
    with DaemonProcess(root) as daemon, WebPage("--root", str(daemon.root)) as page:
        yield page


@pytest.fixture
def containers(sdk: docker.DockerClient, image: str, tmp_path: Path) -> None:
    (tmp_path / "bind").mkdir()
    config = sdk.api.create_host_config(binds=["shared:/data", f"{tmp_path}/bind:/bind:ro"])
    sdk.api.create_container(image, name="one", host_config=config)
    config = sdk.api.create_host_config(volumes_from=["one"])
    sdk.api.create_container(image, name="two", host_config=config)


def until(events: Iterator[Event], name: str) -> Event:
    return next(event for event in events if event[0] == name)


def changed(events: Iterator[Event], path: str) -> Event:
    return next(event for event in events if event[0] == "message" and event[2]["Path"] == path)


class TestWhoMayAsk:
    @pytest.mark.parametrize("name", ["", "page.js", "graph", "changes", "files", "nothing"])
    def test_without_the_token_nothing_is_answered(self, idle: WebPage, name: str) -> None:
        token = idle.path.strip("/")
        for wrong in ("", token[:-1], f"{token}x", token.swapcase(), f"/{token}", "%FF", "%C3%A9", f"{token}%00"):
            assert idle.status_of(f"/{wrong}/{name}") == 403, wrong

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}"])
    def test_under_another_name_nothing_is_answered(self, idle: WebPage, host: str) -> None:
        for name in ("", "graph", "changes"):
            assert idle.status_of(idle.path + name, Host=host.format(port=idle.port)) == 403

    def test_under_its_names_it_is(self, idle: WebPage) -> None:
        for host in (f"127.0.0.1:{idle.port}", f"localhost:{idle.port}"):
            assert idle.status_of(idle.path, Host=host) == 200

    def test_it_listens_on_the_loopback_device_only(self, idle: WebPage) -> None:
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line]
        assert [at for at in listening if at.endswith(f":{idle.port:04X}")] == [f"0100007F:{idle.port:04X}"]

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    def test_there_is_nothing_but_reading(self, idle: WebPage, method: str) -> None:
        for name in ("", "graph", "files"):
            assert idle.status_of(idle.path + name, method) == 405

    def test_each_run_has_another_token(self, daemon: DaemonProcess, page: WebPage) -> None:
        with WebPage("--root", str(daemon.root)) as other:
            assert other.path != page.path
            assert len(other.path) > 32


class TestThePage:
    def test_it_needs_nothing_from_elsewhere(self, idle: WebPage) -> None:
        with idle.open(idle.path) as reply:
            html = reply.read().decode()
            assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        wanted = set(re.findall(r'(?:src|href)="([^"]*)"', html))
        seen: set[str] = set()
        while wanted - seen:
            name = (wanted - seen).pop()
            assert re.fullmatch(r"[a-z]+\.(css|js|svg)", name)
            with idle.open(idle.path + name) as reply:
                assert reply.status == 200, name
                text = reply.read().decode()
            wanted |= {found.removeprefix("./") for found in re.findall(r'from "([^"]*)"', text)}
            assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []
            seen.add(name)
        assert seen == {"page.css", "page.js", "changes.js", "files.js", "graph.js", "text.js", "icon.svg"}

    @pytest.mark.parametrize("name", ["", "page.js", "graph", "changes", "nothing"])
    def test_headers_forbid_what_it_does_not_need(self, idle: WebPage, name: str) -> None:
        with idle.open(idle.path + name) as reply:
            parts = reply.headers["Content-Security-Policy"].split(";")
            assert reply.headers["Cache-Control"] == "no-store"
            assert reply.headers["Referrer-Policy"] == "no-referrer"
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert "Access-Control-Allow-Origin" not in reply.headers
        policy = dict(part.strip().partition(" ")[::2] for part in parts)
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert {value for key, value in policy.items() if key.endswith("-src") and key != "default-src"} == {"'self'"}
        assert policy["require-trusted-types-for"] == "'script'"

    @pytest.mark.parametrize(
        "name", ["../page.html", "..%2f..%2fserver.py", "static/page.js", "./../../../etc/passwd", "%2e%2e/server.py"]
    )
    def test_only_its_own_files_are_served(self, idle: WebPage, name: str) -> None:
        assert idle.status_of(idle.path + name) in (403, 404)

    def test_the_graph(self, page: WebPage, containers: None, tmp_path: Path) -> None:
        found = page.json("graph")
        one, two = found["Containers"]
        assert (one["Name"], two["Name"], two["VolumesFrom"]) == ("one", "two", [one["Key"]])
        mounts = [(mount["Destination"], mount["RW"]) for mount in one["Mounts"]]
        assert mounts == [("/bind", False), ("/data", True), ("/volume01", True), ("/volume02", True)]
        assert one["Mounts"] == two["Mounts"]
        shared = {source["Key"]: len(source["Containers"]) for source in found["Sources"]}
        assert (shared["volume:shared"], shared[f"bind:{tmp_path}/bind"], len(shared)) == (2, 2, 4)
        assert {box["Key"] for box in found["Layout"]["Boxes"]} == {one["Key"], two["Key"], *shared}
        assert len(found["Layout"]["Lines"]) == 2 * 4 + 1


class TestChanges:
    def test_they_come_live(self, page: WebPage, daemon: DaemonProcess, containers: None) -> None:
        (daemon.views / "one" / "data" / "before").mkdir()
        with page.events() as events:
            assert changed(events, "before")[2]["Kind"] == "mkdir"
            until(events, "up")
            (daemon.views / "two" / "data" / "now").mkdir()
            _, place, change = changed(events, "now")
        assert (change["Container"], change["Volume"], change["Cursor"]) == ("two", "shared", place)

    def test_a_reader_goes_on_where_it_was(self, page: WebPage, daemon: DaemonProcess, containers: None) -> None:
        for name in ("a", "b", "c"):
            (daemon.views / "one" / "data" / name).mkdir()
        with page.events() as events:
            place = changed(events, "b")[1]
        with page.events(Last_Event_ID=place) as events:
            found = until(events, "message")
        assert found[2]["Path"] == "c"

    def test_new_containers_are_told(self, page: WebPage, sdk: docker.DockerClient, image: str) -> None:
        with page.events() as events:
            until(events, "up")
            sdk.api.create_container(image, name="new")
            until(events, "sharing")
        assert [container["Name"] for container in page.json("graph")["Containers"]] == ["new"]

    def test_a_restart_is_told_and_what_was_missed(
        self, page: WebPage, daemon: DaemonProcess, containers: None
    ) -> None:
        with page.events() as events:
            quiet = until(events, "up")[1]
            (daemon.views / "one" / "data" / "a").mkdir()
            place = changed(events, "a")[1]
            daemon.kill()
            assert [name for name, _, _ in events][-1] == "down"
        with page.events(Last_Event_ID=place) as events:
            assert [name for name, _, _ in events] == ["down"]
        assert page.json("graph", 503) == {"message": "the daemon does not answer"}
        daemon.start()
        with page.events(Last_Event_ID=place) as events:
            gap = until(events, "missed")[2]
            (daemon.views / "one" / "data" / "b").mkdir()
            changed(events, "b")
        with page.events(Last_Event_ID=quiet) as events:
            assert until(events, "missed")[2]["Reason"] == gap["Reason"]
        assert (gap["Missed"], gap["Reason"]) == (None, "the daemon has been started anew")

    def test_streams_do_not_keep_it_from_ending(self, page: WebPage) -> None:
        with page.events() as events:
            until(events, "up")
            page.close(signal.SIGINT)
        assert page.status == 0


class TestFiles:
    def listed(self, page: WebPage, path: str, status: int = 200) -> dict[str, object]:
        found = page.json(f"files?container=two&path={path}", status)
        if status != 200:
            return dict(found)
        return {entry["Name"]: entry.get("Target", entry["Type"]) for entry in found["Entries"]}

    def test_a_tree_is_browsed(self, page: WebPage, daemon: DaemonProcess, containers: None) -> None:
        data = daemon.views / "one" / "data"
        (data / "d").mkdir()
        (data / "d" / "<b>&\n").write_text("1")
        assert {"bin", "data", "bind", "etc"} < self.listed(page, "/").keys()
        assert self.listed(page, "/data") == {"d": "directory"}
        assert self.listed(page, "/data/d/") == {"<b>&\n": "file"}
        assert self.listed(page, "/etc") == {"issue": "file"}

    def test_names_of_any_bytes(self, page: WebPage, daemon: DaemonProcess, containers: None) -> None:
        os.makedirs(os.fsencode(daemon.views) + b"/one/data/caf\xe9/x+&=%")
        assert self.listed(page, "/data/caf%e9") == {"x+&=%": "directory"}
        assert self.listed(page, "/data/caf%E9/x%2B%26%3D%25") == {}

    def test_links_lead_nowhere_on_the_host(
        self, page: WebPage, daemon: DaemonProcess, containers: None, tmp_path: Path
    ) -> None:
        (tmp_path / "secret").mkdir()
        data = daemon.views / "one" / "data"
        (data / "out").symlink_to(tmp_path)
        (data / "up").symlink_to("../../../../../..")
        assert self.listed(page, "/data") == {"out": str(tmp_path), "up": "../../../../../.."}
        for path in ("/data/out", "/data/up", "/etc/issue"):
            assert self.listed(page, path, 400) == {"message": f"lstat {path}: not a directory"}
        for path in ("/data/out/secret", "/data/../../proc", f"/data/up{tmp_path}/secret", "%2e%2e/%2e%2e/root"):
            assert "Could not find the file" in str(self.listed(page, path, 404))
        assert self.listed(page, "/../../data/up/etc") == {"issue": "file"}  # in the container

    def test_bad_questions_have_clear_answers(self, page: WebPage, containers: None) -> None:
        for query, status in (
            ("", 400), ("container=two", 400), ("path=/", 400), ("container=none&path=/", 404),
            ("container=../../volumes&path=/", 404), ("container=two&path=/a%00b", 400),
        ):  # fmt: skip
            assert page.json(f"files?{query}", status)["message"]


def test_a_port_that_is_taken_is_a_clear_error(daemon: DaemonProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [VOLFUSE, "--root", daemon.root, "ui", "--port", str(port)], capture_output=True, text=True, timeout=60
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"cannot listen on 127.0.0.1:{port}: address already in use\n"


def test_a_long_path_of_the_socket(tmp_path: Path, volfuse_daemon: object) -> None:
    root = tmp_path / ("long" * 30)
    with DaemonProcess(root) as daemon, WebPage("--root", str(daemon.root)) as page:
        assert page.json("graph")["Containers"] == []
