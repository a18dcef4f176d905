"""Verbs of programs, by `docker` and by `volfuse`, against the same container in the fake daemon.

Output, errors, status, requests in their order, and what the program got as input agree.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.terminals import on_terminal

from .conftest import Outcome
from .fakedaemon import FakeDaemon, Reply, Wire, error
from .programs import CONTAINER, Program, awaited, install
from .test_docker_oracle import _known_part, _translated

_DEADLINE_S = 20
_DETACH = b"\x10\x11"


@dataclass
class Client:
    """One of the two commands, in a process of its own."""

    command: list[str]
    env: dict[str, str]

    def on_pipes(self, line: str, input: bytes = b"") -> Outcome:
        done = subprocess.run(
            [*self.command, *shlex.split(line)],
            env=self.env,
            input=input,
            capture_output=True,
            timeout=_DEADLINE_S,
            check=False,
        )
        return Outcome(done.stdout.decode(), done.stderr.decode(), done.returncode)

    def start(self, line: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self.command, *shlex.split(line)],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


@pytest.fixture
def clients(fake: FakeDaemon, home: Path) -> list[Client]:
    """`docker` and `volfuse`, in this order."""
    program = shutil.which("docker")
    if program is None:
        pytest.skip("the docker command is not installed")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "VOLFUSE_"))}
    env |= {"DOCKER_HOST": f"unix://{fake.socket}", "VOLFUSE_SOCKET": fake.socket, "VOLFUSE_AUTOSTART": "0"}
    return [Client([program], env), Client([sys.executable, "-m", "volfuse.cli.main"], env)]


@dataclass
class Seen:
    """What is to agree."""

    outcome: Outcome | tuple[bytes, int]
    requests: list[tuple[Any, ...]]
    received: bytes
    killed: list[str] = field(default_factory=list)


Drive = Callable[[Client], "Outcome | tuple[bytes, int]"]


def _both(fake: FakeDaemon, clients: list[Client], program: Program, drive: Drive) -> tuple[Seen, Seen]:
    """Let both clients do the same; requests that set a terminal's size are told apart from the rest."""
    return _seen(fake, clients[0], program, drive), _seen(fake, clients[1], program, drive)


def _seen(fake: FakeDaemon, client: Client, program: Program, drive: Drive) -> Seen:
    install(fake, program)
    fake.requests.clear()
    program.received = b""
    outcome = drive(client)
    if isinstance(outcome, Outcome):
        outcome = _translated(outcome)
    sent = [
        (r.method, r.path, r.query, json.loads(r.body) if r.body else None) for r in fake.requests if r.path != "/_ping"
    ]
    return Seen(outcome, sent, program.received, list(program.killed))


def _assert_alike(expected: Seen, found: Seen) -> None:
    assert found.outcome == expected.outcome
    assert [r[:3] for r in found.requests] == [r[:3] for r in expected.requests]
    for (*_, body), (*_, expected_body) in zip(found.requests, expected.requests, strict=True):
        assert body == _known_part(expected_body, body)
    assert found.received == expected.received
    assert found.killed == expected.killed


def _echo(program: Program) -> Callable[[Wire], None]:
    """Return a program that reads all input, then writes to both streams."""

    def script(wire: Wire) -> None:
        program.received = wire.read_all()
        wire.frame(1, b"out: " + program.received)
        wire.frame(2, b"err\n")

    return script


def _program(**known: Any) -> Program:  # noqa: ANN401 fields of Program
    program = Program(lambda _wire: None, **known)
    program.script = _echo(program)
    return program


PIPES = r"""
run x cmd
run --rm x cmd
run -i x cmd a b
run -d x cmd
run -d --rm -i x cmd
run -t x cmd
run -a stdin -i x cmd
run -a stdout x cmd
run -a stderr --sig-proxy=false x cmd
run -a stdin -a stdout --name n --detach-keys ctrl-a,b x
run -it x
run -dit --detach-keys=a x
run -d -a stdout x
run --rm --restart always x
run --pull foo x
run
run --foo x
start box
start -a box
start -i box
start -ai box box
start nope box none
start -a nope
start
exec box cmd -t
exec -i box cmd
exec -d box cmd
exec -t box cmd
exec -d -t -i box cmd
exec -e A=1 -e HOME --env-file /dev/null -u 1:2 -w /w --privileged --detach-keys a,b box cmd
exec -e '' box cmd
exec --env-file /nonexistent box cmd
exec -it box cmd
exec nope cmd
exec box
"""
RUNNING = r"""
attach box
attach --no-stdin box
attach --detach-keys ctrl-z,z --sig-proxy=false box
attach nope
attach box box
"""


@pytest.mark.parametrize("line", [line for line in PIPES.splitlines() if line])
def test_programs_on_pipes(line: str, fake: FakeDaemon, clients: list[Client]) -> None:
    program = _program(status=3, open_stdin=True, running=line.startswith("exec"))
    _assert_alike(*_both(fake, clients, program, lambda c: c.on_pipes(line, b"hello\n")))


@pytest.mark.parametrize("line", [line for line in RUNNING.splitlines() if line])
def test_attach_on_pipes(line: str, fake: FakeDaemon, clients: list[Client]) -> None:
    program = _program(status=3, open_stdin=True, running=True)
    _assert_alike(*_both(fake, clients, program, lambda c: c.on_pipes(line, b"hello\n")))


@pytest.mark.parametrize("state", ["Running", "Paused", "Restarting"])
def test_attach_refuses_containers_that_do_not_run(state: str, fake: FakeDaemon, clients: list[Client]) -> None:
    def drive(client: Client) -> Outcome:
        inspected = program.inspected(None)  # type: ignore[arg-type]
        inspected.body["State"] |= {"Running": state != "Running", state: state != "Running"}
        fake.routes["GET /containers/box/json"] = inspected
        return client.on_pipes("attach box")

    program = _program(running=True)
    _assert_alike(*_both(fake, clients, program, drive))


@pytest.mark.parametrize("line", ["run -t x", "attach box", "exec -t box cmd", "start -a box"])
def test_output_of_a_terminal_is_not_in_frames(line: str, fake: FakeDaemon, clients: list[Client]) -> None:
    program = _program(tty=True, running=not line.startswith(("run", "start")))
    program.script = lambda wire: wire.send(b"\x01\x00\x00\x00raw\r\n")
    _assert_alike(*_both(fake, clients, program, lambda c: c.on_pipes(line.replace("attach", "attach --no-stdin"))))


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("run x", 400, 'failed to create task: exec: "nope": executable file not found in $PATH'),
        ("run x", 400, 'exec: "/etc": permission denied'),
        ("run x", 400, 'exec: "/etc": is a directory'),
        ("run x", 404, "OCI: no such file or directory"),
        ("run x", 500, "boom"),
        ("run -d x", 409, "it is paused"),
        ("run --rm -d x", 404, "OCI: no such file or directory"),
        ("start box", 500, "boom"),
        ("start -a box", 404, "OCI: no such file or directory"),
    ],
)
def test_start_that_fails(line: str, code: int, message: str, fake: FakeDaemon, clients: list[Client]) -> None:
    def drive(client: Client) -> Outcome:
        program.script = lambda wire: None
        for name in ("box", CONTAINER):
            fake.routes[f"POST /containers/{name}/start"] = error(code, message)
        program.started.set()
        program.ended.set()
        return client.on_pipes(line)

    program = _program()
    expected, found = _both(fake, clients, program, drive)
    assert isinstance(expected.outcome, Outcome)
    if "-d" in line:  # docker prints the id at the same time as it starts the container
        expected.outcome = Outcome(f"{CONTAINER}\n", expected.outcome.err, expected.outcome.status)
    _assert_alike(expected, found)


def test_wait_that_reports_an_error(fake: FakeDaemon, clients: list[Client]) -> None:
    def drive(client: Client) -> Outcome:
        fake.routes[f"POST /containers/{CONTAINER}/wait"] = Reply({"StatusCode": 0, "Error": {"Message": "gone wrong"}})
        return client.on_pipes("run x")

    expected, found = _both(fake, clients, _program(), drive)
    assert isinstance(expected.outcome, Outcome)
    assert isinstance(found.outcome, Outcome)
    assert found.outcome.status == expected.outcome.status == 125
    assert "Error waiting for container: gone wrong" in found.outcome.err
    assert "Error waiting for container: gone wrong" in expected.outcome.err


def test_create_that_fails(fake: FakeDaemon, clients: list[Client]) -> None:
    def drive(client: Client) -> Outcome:
        fake.routes["POST /containers/create"] = error(409, "Conflict. The container name is in use")
        return client.on_pipes("run --name x y")

    _assert_alike(*_both(fake, clients, _program(), drive))


def test_unknown_image(fake: FakeDaemon, clients: list[Client]) -> None:
    def drive(client: Client) -> Outcome:
        fake.routes["POST /containers/create"] = error(404, "No such image: nope:latest")
        fake.routes["POST /images/create"] = error(404, "No such image: nope:latest")
        return client.on_pipes("run nope")

    expected, found = _both(fake, clients, _program(), drive)
    assert found.outcome == expected.outcome


def test_attach_that_is_refused_says_why(fake: FakeDaemon, clients: list[Client]) -> None:
    def drive(client: Client) -> Outcome:
        fake.routes[f"POST /containers/{CONTAINER}/attach"] = error(400, "bad keys")
        return client.on_pipes("run x")

    expected, found = _both(fake, clients, _program(), drive)
    assert isinstance(expected.outcome, Outcome)
    assert found.outcome == Outcome("", "Error response from daemon: bad keys\n", expected.outcome.status)


@pytest.mark.parametrize("stream", [3, 9])
def test_fault_in_the_stream(stream: int, fake: FakeDaemon, clients: list[Client]) -> None:
    program = _program(running=True)
    program.script = lambda wire: wire.frame(stream, b"disk is full")
    _assert_alike(*_both(fake, clients, program, lambda c: c.on_pipes("exec box cmd")))


def test_cidfile_is_written(fake: FakeDaemon, clients: list[Client], home: Path) -> None:
    def drive(client: Client) -> Outcome:
        (home / "cid").unlink(missing_ok=True)
        outcome = client.on_pipes("run --cidfile cid x")
        return Outcome(outcome.out + (home / "cid").read_text(), outcome.err, outcome.status)

    _assert_alike(*_both(fake, clients, _program(), drive))


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("run x", signal.SIGINT),
        ("run x", signal.SIGTERM),
        ("run x", signal.SIGTSTP),
        ("run -i x", signal.SIGHUP),
        ("attach box", signal.SIGUSR1),
        ("attach box", signal.SIGRTMIN + 3),
        ("start -a box", signal.SIGRTMAX - 2),
    ],
)
def test_signals_are_passed_on(line: str, number: int, fake: FakeDaemon, clients: list[Client]) -> None:
    def script(wire: Wire) -> None:
        wire.frame(1, b"ready\n")
        awaited(program.got_signal)

    program = _program(status=5, running=line.startswith("attach"))
    program.script = script

    def drive(client: Client) -> Outcome:
        with client.start(line) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(number)
            _, err = process.communicate(timeout=_DEADLINE_S)
            return Outcome("", err.decode(), process.returncode)

    _assert_alike(*_both(fake, clients, program, drive))
    assert program.killed


def test_third_signal_ends_the_command(fake: FakeDaemon, clients: list[Client]) -> None:
    def script(wire: Wire) -> None:
        wire.frame(1, b"ready\n")
        wire.read_all()
        awaited(release)

    release = threading.Event()
    program = _program()
    program.script = script

    def drive(client: Client) -> Outcome:
        release.clear()
        with client.start("run x") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            for count in range(3):
                process.send_signal(signal.SIGINT)
                if count < 2:
                    awaited(program.got_signal)
                    program.got_signal.clear()
            _, err = process.communicate(timeout=_DEADLINE_S)
            release.set()
            return Outcome("", err.decode(), process.returncode)

    expected, found = _both(fake, clients, program, drive)
    assert found.outcome == expected.outcome
    assert isinstance(found.outcome, Outcome)
    assert found.outcome.err == "\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n"


def _shell(program: Program) -> Callable[[Wire], None]:
    """Return a program for terminals: prompts, echoes lines, ends with `exit`."""

    def script(wire: Wire) -> None:
        awaited(program.resized)
        wire.send(b"$ ")
        while data := wire.read():
            program.received += data
            wire.send(data.upper().replace(b"\r", b"\r\n"))
            if program.received.endswith(b"exit\r"):
                return

    return script


ON_TERMINAL = ["run -it x", "run --rm -it x sh", "start -ai box", "exec -it box sh", "attach box"]


def _shell_program(line: str) -> Program:
    program = _program(tty=True, open_stdin=True, status=4, running=line.startswith(("exec", "attach")))
    program.script = _shell(program)
    return program


@pytest.mark.parametrize("line", ON_TERMINAL)
def test_terminal_is_raw_and_then_as_before(line: str, fake: FakeDaemon, clients: list[Client]) -> None:
    def drive(client: Client) -> tuple[bytes, int]:
        with on_terminal([*client.command, *shlex.split(line)], client.env, (33, 99)) as terminal:
            terminal.expect(b"$ ")
            modes.append(terminal.mode())
            terminal.type(b"a\x03b\x04")
            terminal.expect(b"B")
            terminal.type(b"exit\r")
            status = terminal.status()
            assert terminal.restored
            return terminal.screen, status

    modes: list[list[object]] = []
    _assert_alike(*_both(fake, clients, _shell_program(line), drive))
    assert modes[0] == modes[1]


@pytest.mark.parametrize("line", [*ON_TERMINAL, "run -t -i --detach-keys a,ctrl-x x"])
def test_detaching(line: str, fake: FakeDaemon, clients: list[Client]) -> None:
    def drive(client: Client) -> tuple[bytes, int]:
        with on_terminal([*client.command, *shlex.split(line)], client.env) as terminal:
            terminal.expect(b"$ ")
            terminal.type(b"a\x18" if "keys" in line else b"x\x10y")
            if "keys" not in line:
                terminal.expect(b"Y")
                terminal.type(b"\x10")
                terminal.type(b"\x11z")
            status = terminal.status()
            assert terminal.restored
            return terminal.screen, status

    _assert_alike(*_both(fake, clients, _shell_program(line), drive))


@pytest.mark.parametrize("line", ON_TERMINAL)
def test_window_size_is_passed_on(line: str, fake: FakeDaemon, clients: list[Client]) -> None:
    program = _shell_program(line)

    def drive(client: Client) -> tuple[bytes, int]:
        with on_terminal([*client.command, *shlex.split(line)], client.env) as terminal:
            terminal.expect(b"$ ")
            program.resized.clear()
            for width in range(120, 160):  # docker begins to listen some time after it has told the first size
                terminal.resize(50, width)
                if program.resized.wait(0.5):
                    break
            if line.startswith("run"):
                awaited(program.got_signal)
            terminal.type(b"exit\r")
            return terminal.screen, terminal.status()

    expected, found = _both(fake, clients, program, drive)
    assert _sizes(found)[:-1] == _sizes(expected)[: len(_sizes(found)) - 1]
    assert _sizes(found)[-1][1]["h"] == _sizes(expected)[-1][1]["h"] == ["50"]
    assert found.outcome == expected.outcome
    assert set(found.killed) == set(expected.killed)


def _sizes(seen: Seen) -> list[Any]:
    return [request[1:3] for request in seen.requests if request[1].endswith("/resize")]


@pytest.mark.parametrize("line", ["exec -it box sh", "attach box", "run -it --sig-proxy=false x"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2])
def test_signal_that_ends_the_command_restores_the_terminal(
    line: str, number: signal.Signals, fake: FakeDaemon, clients: list[Client]
) -> None:
    program = _shell_program(line)
    install(fake, program)
    with on_terminal([*clients[1].command, *shlex.split(line)], clients[1].env) as terminal:
        terminal.expect(b"$ ")
        assert not terminal.restored
        terminal.signal(number)
        assert terminal.status() == 128 + number
        assert terminal.restored


def test_daemon_that_goes_away_restores_the_terminal(fake: FakeDaemon, clients: list[Client]) -> None:
    def script(wire: Wire) -> None:
        wire.send(b"$ ")
        wire.read()

    program = _shell_program("exec")
    program.script = script
    install(fake, program)
    with on_terminal([*clients[1].command, "exec", "-it", "box", "sh"], clients[1].env) as terminal:
        terminal.expect(b"$ ")
        terminal.type(b"x")
        terminal.status()
        assert terminal.restored


def test_streams_only_for_input_can_detach(fake: FakeDaemon, clients: list[Client]) -> None:
    def script(wire: Wire) -> None:
        while data := wire.read():
            program.received += data

    program = _shell_program("run")
    program.script = script

    def drive(client: Client) -> tuple[bytes, int]:
        with on_terminal([*client.command, *shlex.split("run -a stdin -it x")], client.env) as terminal:
            awaited(program.resized)
            terminal.type(b"abc" + _DETACH)
            return terminal.screen, terminal.status()

    expected, found = _both(fake, clients, program, drive)
    assert found.outcome == expected.outcome


def test_daemon_that_goes_away_leaves_the_status_unknown(fake: FakeDaemon, clients: list[Client]) -> None:
    def drive(client: Client) -> Outcome:
        fake.routes[f"POST /containers/{CONTAINER}/wait"] = Reply(chunks=_cut_off())
        return client.on_pipes("run x")

    expected, found = _both(fake, clients, _program(), drive)
    assert isinstance(expected.outcome, Outcome)
    assert isinstance(found.outcome, Outcome)
    assert found.outcome.status == expected.outcome.status == 125
    assert found.outcome.err.endswith("error waiting for container: unexpected EOF\n")


def _cut_off() -> Iterator[bytes]:
    yield b'{"Stat'
    raise ConnectionAbortedError
