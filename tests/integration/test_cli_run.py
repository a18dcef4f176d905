"""The `volfuse` command runs programs: a real daemon, real containers, pipes and terminals."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.integration.conftest import busybox_rootfs
from tests.terminals import Terminal, on_terminal
from volfuse.testing import DaemonProcess

_DEADLINE_S = 60
_PROMPT = b"# "


class Volfuse:
    """The command, for one daemon."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("VOLFUSE_")}
        self.env |= {"VOLFUSE_SOCKET": str(daemon.socket), "VOLFUSE_AUTOSTART": "0", "TERM": "xterm"}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "volfuse.cli.main", *arguments]

    def __call__(self, *arguments: str, status: int = 0, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            self.command(*arguments), input=stdin, env=self.env, capture_output=True, timeout=_DEADLINE_S, check=False
        )
        assert done.returncode == status, (arguments, done.stdout, done.stderr)
        return done

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def on_terminal(self, *arguments: str) -> AbstractContextManager[Terminal]:
        return on_terminal(self.command(*arguments), self.env)


@pytest.fixture
def volfuse(daemon: DaemonProcess) -> Volfuse:
    """The command, with image `box` in the daemon."""
    command = Volfuse(daemon)
    command("import", "--change", "VOLUME /data", "-", "box", stdin=busybox_rootfs())
    return command


@pytest.mark.parametrize(
    ("program", "status"),
    [
        (("sh", "-c", "exit 3"), 3),
        (("true",), 0),
        (("/no/such",), 127),
        (("nope",), 127),
        (("/etc",), 126),
        (("sh", "-c", "sh -c 'kill -9 $$'; exit $?"), 137),
    ],
)
def test_status_is_the_programs_or_says_why_it_did_not_start(
    volfuse: Volfuse, program: Sequence[str], status: int
) -> None:
    volfuse("run", "--rm", "box", *program, status=status)
    assert volfuse("ps", "-aq").stdout == b""


def test_streams_are_separate(volfuse: Volfuse) -> None:
    done = volfuse("run", "-i", "box", "sh", "-c", "cat; echo err >&2; ls -d /data", stdin=b"in\n")
    assert done.stdout == b"in\n/data\n"
    assert done.stderr == b"err\n"


def test_refusals_of_the_daemon(volfuse: Volfuse) -> None:
    unknown = volfuse("run", "nope", status=125).stderr
    assert unknown.startswith(b"Unable to find image 'nope:latest' locally\nvolfuse: Error response from daemon: ")
    assert unknown.endswith(b"\n\nRun 'volfuse run --help' for more information\n")
    volfuse("run", "-d", "--name", "one", "box", "sleep", "600")
    assert b"Conflict" in volfuse("run", "--name", "one", "box", status=125).stderr
    assert volfuse("run", "-it", "box", status=1).stderr == b"the input device is not a TTY\n"
    volfuse("rm", "-f", "one")


def test_detached_container(volfuse: Volfuse) -> None:
    made = volfuse("run", "-d", "--name", "one", "box", "sh", "-c", "echo ready; trap 'exit 7' TERM; sleep 600 & wait")
    assert len(made.stdout) == 65
    with volfuse.start("logs", "-f", "one") as logs, volfuse.start("wait", "one") as waiting:
        assert logs.stdout is not None
        assert logs.stdout.readline() == b"ready\n"
        assert volfuse("stop", "one").stdout == b"one\n"
        assert waiting.communicate(timeout=_DEADLINE_S) == (b"7\n", b"")
        assert logs.communicate(timeout=_DEADLINE_S) == (b"", b"")
    assert volfuse("logs", "--tail", "1", "one").stdout == b"ready\n"
    assert b"Z ready\n" in volfuse("logs", "-t", "one").stdout
    assert b"Exited (7)" in volfuse("ps", "-a").stdout


def test_signals_reach_the_program(volfuse: Volfuse) -> None:
    with volfuse.start("run", "--rm", "box", "sh", "-c", "trap 'exit 9' INT; echo ready; sleep 600 & wait") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(_DEADLINE_S) == 9
    assert volfuse("ps", "-aq").stdout == b""


def test_exec(volfuse: Volfuse) -> None:
    volfuse("run", "-d", "--name", "one", "box", "sleep", "600")
    volfuse("exec", "one", "sh", "-c", "exit 5", status=5)
    done = volfuse("exec", "-u", "ann", "-w", "/tmp", "-e", "A=b c", "one", "sh", "-c", 'id -un; pwd; echo "$A"')
    assert done.stdout == b"ann\n/tmp\nb c\n"
    volfuse("exec", "-d", "one", "touch", "/data/flag")
    _until(lambda: volfuse("exec", "one", "ls", "/data").stdout == b"flag\n")
    assert b"No such container: nope" in volfuse("exec", "nope", "true", status=1).stderr
    assert b"sleep 600" in volfuse("top", "one").stdout
    volfuse("kill", "one")
    assert volfuse("wait", "one").stdout == b"137\n"
    assert b"is not running" in volfuse("exec", "one", "true", status=1).stderr


def test_pause(volfuse: Volfuse) -> None:
    volfuse("run", "-d", "--name", "one", "box", "sleep", "600")
    assert volfuse("pause", "one").stdout == b"one\n"
    assert b"(Paused)" in volfuse("ps").stdout
    assert b"paused" in volfuse("attach", "one", status=1).stderr
    assert volfuse("unpause", "one").stdout == b"one\n"
    assert volfuse("restart", "-t", "0", "one").stdout == b"one\n"
    volfuse("exec", "one", "true")
    volfuse("rm", "-f", "one")


def test_gigabyte_goes_through_exec_whole_and_memory_stays_flat(
    volfuse: Volfuse, daemon: DaemonProcess, tmp_path: Path
) -> None:
    volfuse("run", "-d", "--name", "one", "box", "sleep", "600")
    pattern = os.urandom(1 << 20)
    digest = hashlib.sha256()
    source = tmp_path / "gigabyte"
    with source.open("wb") as target:
        for _ in range(1024):
            target.write(pattern)
            digest.update(pattern)
    found = hashlib.sha256()
    with (
        source.open("rb") as given,
        subprocess.Popen(
            volfuse.command("exec", "-i", "one", "cat"), env=volfuse.env, stdin=given, stdout=subprocess.PIPE
        ) as running,
    ):
        assert running.stdout is not None
        peak = 0  # not by wait4: that counts the test process, as it was before the exec, too
        while piece := running.stdout.read(1 << 20):
            found.update(piece)
            peak = max(peak, _peak_kib(running.pid))
    source.unlink()
    assert running.returncode == 0
    assert found.hexdigest() == digest.hexdigest()
    assert peak < 80 << 10
    assert _peak_kib(daemon.pid) < 160 << 10
    volfuse("rm", "-f", "one")


def test_terminal_of_a_shell(volfuse: Volfuse) -> None:
    with volfuse.on_terminal("run", "-it", "--name", "one", "box", "sh") as terminal:
        terminal.expect(_PROMPT)
        terminal.type(b"stty size; tty\r")
        terminal.expect(b"24 80")
        terminal.expect(b"/dev/")
        terminal.resize(50, 120)
        _until(lambda: _size(volfuse) == b"50 120")
        terminal.type(b"sh -c 'echo up; sleep 600'\r")
        terminal.expect(b"up\r\n")
        terminal.type(b"\x03")
        terminal.type(b"exit 4\r")
        assert terminal.status() == 4
        assert terminal.restored


def test_detach_and_attach_again(volfuse: Volfuse) -> None:
    with volfuse.on_terminal("run", "-it", "--name", "one", "box", "sh") as terminal:
        terminal.expect(_PROMPT)
        terminal.type(b"A=kept\r")
        terminal.type(b"\x10\x11")
        assert terminal.status() == 0
        assert terminal.restored
        assert b"read escape sequence" not in terminal.screen
    with volfuse.on_terminal("attach", "one") as terminal:
        terminal.expect(_PROMPT)
        terminal.type(b"echo $A-$A\r")
        terminal.expect(b"kept-kept")
        terminal.type(b"\x10\x11")
        assert terminal.status() == 1
        assert b"read escape sequence" in terminal.screen
        assert terminal.restored
    with volfuse.on_terminal("attach", "--detach-keys", "ctrl-a,x", "one") as terminal:
        terminal.expect(_PROMPT)
        terminal.type(b"exit 6\r")
        assert terminal.status() == 6
    with volfuse.on_terminal("start", "-ai", "one") as terminal:
        terminal.expect(_PROMPT)
        terminal.type(b"\x10\x11")
        assert terminal.status() == 0
    volfuse("rm", "-f", "one")


def test_exec_on_a_terminal(volfuse: Volfuse) -> None:
    volfuse("run", "-d", "--name", "one", "box", "sleep", "600")
    with volfuse.on_terminal("exec", "-it", "one", "sh") as terminal:
        terminal.expect(_PROMPT)
        terminal.type(b"stty size; exit 8\r")
        assert terminal.status() == 8
        assert b"24 80" in terminal.screen
        assert terminal.restored
    volfuse("rm", "-f", "one")


def test_removal_is_awaited(volfuse: Volfuse) -> None:
    for _ in range(3):
        volfuse("run", "--rm", "--name", "one", "-v", "/anonymous", "box", "true")
    assert volfuse("volume", "ls", "-q").stdout == b""


def _size(volfuse: Volfuse) -> bytes:
    return volfuse(
        "exec", "one", "sh", "-c", "stty size -F /dev/console 2>/dev/null || stty size < /dev/console"
    ).stdout.strip()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)  # 0: it has just ended
