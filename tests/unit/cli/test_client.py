"""The connection, its errors, streams, and starting a daemon."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from volfuse.cli.autostart import start_daemon
from volfuse.cli.client import Client
from volfuse.cli.failure import CommandFailed, DaemonError, NotConnected
from volfuse.core.locations import Locations

from .conftest import Run
from .fakedaemon import FakeDaemon, Reply, error, serve


@pytest.fixture
def client(fake: FakeDaemon) -> Iterator[Client]:
    with closing(Client(fake.socket)) as made:
        yield made


def test_refusal_has_code_and_message(fake: FakeDaemon, client: Client) -> None:
    fake.routes["GET /x"] = error(409, "it is taken")
    with pytest.raises(DaemonError, match=r"^Error response from daemon: it is taken$") as refused:
        client.get("/x")
    assert refused.value.code == 409


def test_refusal_without_json_shows_the_body(fake: FakeDaemon, client: Client) -> None:
    fake.routes["GET /x"] = Reply(b"no way\n", 500)
    with pytest.raises(DaemonError, match=r"^Error response from daemon: no way$"):
        client.get("/x")


def test_connection_serves_several_requests(fake: FakeDaemon, client: Client) -> None:
    fake.routes["GET /x"] = Reply([1])
    assert [client.get("/x"), client.get("/x"), client.get("/x")] == [[1]] * 3


def test_versioned_path_and_query(fake: FakeDaemon, client: Client) -> None:
    fake.routes["GET /x"] = Reply([])
    client.get("/x", {"a": "b c", "many": ["1", "2"], "none": None})
    assert fake.requests[0].query == {"a": ["b c"], "many": ["1", "2"]}


def test_lines_come_one_by_one(fake: FakeDaemon, client: Client) -> None:
    fake.routes["GET /x"] = Reply(chunks=[b'{"a":', b'1}\n{"a":2}\n', b"\n", b'{"a":3}\n'])
    assert [line["a"] for line in client.lines("GET", "/x")] == [1, 2, 3]


def test_upload_keeps_memory_flat(fake: FakeDaemon, client: Client) -> None:
    class Zeros(io.RawIOBase):
        left = 64 << 20

        def read(self, count: int = -1, /) -> bytes:
            count = min(count, self.left)
            self.left -= count
            return bytes(count)

    seen = 0

    def swallow(read: io.BufferedIOBase) -> None:
        nonlocal seen
        while data := read.read(1 << 16):
            seen += len(data)

    fake.swallow = swallow
    fake.routes["POST /up"] = Reply([])
    tracemalloc.start()
    try:
        with client.open("POST", "/up", upload=Zeros()) as reply:
            reply.read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == 64 << 20
    assert peak < 4 << 20


def test_socket_with_a_long_path(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    directory_fd = os.open(directory, os.O_PATH)
    try:
        with serve(Path(f"/proc/self/fd/{directory_fd}/s.sock")) as fake:
            fake.routes["GET /x"] = Reply("there")
            with closing(Client(str(directory / "s.sock"))) as client:
                assert client.get("/x") == "there"
    finally:
        os.close(directory_fd)


def test_no_daemon_and_no_start(tmp_path: Path) -> None:
    with pytest.raises(NotConnected, match="Is the volfuse daemon running"):
        Client(str(tmp_path / "none.sock")).get("/x")


def test_command_without_daemon(volfuse: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOLFUSE_SOCKET", str(tmp_path / "none.sock"))
    outcome = volfuse("ps")
    assert outcome.status == 1
    assert outcome.err == (
        f"Cannot connect to the volfuse daemon at unix://{tmp_path}/none.sock. Is the volfuse daemon running?\n"
    )


def _program(tmp_path: Path, body: str) -> list[str]:
    """Return a daemon of a few lines; it gets `--root ROOT --socket SOCKET`."""
    script = tmp_path / "daemon.py"
    script.write_text(
        "import os, socket, sys\n"
        "root, path = sys.argv[2], sys.argv[4]\n"
        "def ready():\n"
        "    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:\n"
        "        s.sendto(b'STATUS=x\\nREADY=1', os.environ['NOTIFY_SOCKET'])\n"
        "def listen():\n"
        "    made = socket.socket(socket.AF_UNIX)\n"
        "    made.bind(path)\n"
        "    made.listen()\n"
        "    return made\n" + body
    )
    return [sys.executable, str(script)]


def test_started_daemon_is_ready(tmp_path: Path) -> None:
    places = Locations(str(tmp_path / "root"), str(tmp_path / "s.sock"))
    start_daemon(places, _program(tmp_path, "s = listen(); ready(); s.accept()\n"))
    with pytest.raises(CommandFailed, match="error during connect"):
        Client(places.socket).get("/x")  # it accepts and ends: the test leaves no process behind


def test_daemon_that_ends_shows_its_last_words(tmp_path: Path) -> None:
    places = Locations(str(tmp_path / "root"), str(tmp_path / "s.sock"))
    with pytest.raises(CommandFailed) as failed:
        start_daemon(places, _program(tmp_path, "print('no fuse here', file=sys.stderr); sys.exit(3)\n"))
    assert str(failed.value) == "cannot start the volfuse daemon: it ended with status 3\n  no fuse here"


def test_daemon_that_finds_the_root_taken_waits_for_the_other(tmp_path: Path) -> None:
    places = Locations(str(tmp_path / "root"), str(tmp_path / "s.sock"))
    with serve(tmp_path / "s.tmp") as other:
        body = f"os.rename({other.socket!r}, path); sys.exit(75)\n"
        start_daemon(places, _program(tmp_path, body))
        other.routes["GET /x"] = Reply("other")
        with closing(Client(places.socket)) as client:
            assert client.get("/x") == "other"


def test_starters_take_turns(tmp_path: Path) -> None:
    places = Locations(str(tmp_path / "root"), str(tmp_path / "s.sock"))
    body = (
        "with open(root + '/starts', 'a') as starts: starts.write('x')\n"
        "s = listen(); ready()\n"
        "while True:\n"
        "    c, _ = s.accept()\n"
        "    if c.recv(4) == b'stop': break\n"
    )
    program = _program(tmp_path, body)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: start_daemon(places, program), range(4)))
    assert (tmp_path / "root" / "starts").read_text() == "x"
    from volfuse.cli.connection import connect

    with connect(places.socket) as sock:
        sock.sendall(b"stop")


def test_daemon_outlives_its_starters_terminal(tmp_path: Path) -> None:
    places = Locations(str(tmp_path / "root"), str(tmp_path / "s.sock"))
    body = (
        "s = listen()\n"
        "import json\n"
        "found = [os.getsid(0) == os.getpid(), sys.stdin.read(), os.getcwd()]\n"
        "with open(root + '/state', 'w') as f: json.dump(found, f)\n"
        "ready(); s.accept()\n"
    )
    start_daemon(places, _program(tmp_path, body))
    with pytest.raises(CommandFailed):
        Client(places.socket).get("/x")
    assert json.loads((tmp_path / "root" / "state").read_text()) == [True, "", "/"]


def test_upload_that_is_refused_early_shows_why(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    body = b'{"message":"the root is read-only"}'
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    def refuse(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        with accepted:
            accepted.recv(1024)
            accepted.sendall(head + body)
            accepted.shutdown(socket.SHUT_RDWR)

    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as pool:
        listener.bind(path)
        listener.listen()
        done = pool.submit(refuse, listener)
        with (
            closing(Client(path)) as client,
            pytest.raises(DaemonError, match="the root is read-only"),
            open("/dev/zero", "rb") as endless,
        ):
            client.open("PUT", "/x", upload=endless)
        done.result()
