"""The launcher and its programs, on a plain directory in place of a view."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading

import pytest

from tests.support import needs
from volfuse.core.runplan import ExecPlan, Program, RunPlan, Sandbox
from volfuse.engine.streams import Input, Output
from volfuse.errors import CannotStart, Unavailable
from volfuse.runner.cgroups import Cgroups
from volfuse.runner.runner import LauncherRunner, runner_lock

_S = 30.0


class Ran:
    """A program and what it printed."""

    def __init__(self) -> None:
        self.output = Output()
        self.news = threading.Event()
        self.attachment = self.output.attach(self.news.set)
        self.exited = threading.Event()
        self.code = None

    def on_exit(self, code: int) -> None:
        self.code = code
        self.exited.set()

    def text(self) -> bytes:
        """Return all output, when it has ended."""
        collected = b""
        while True:
            self.news.clear()
            ended = self.attachment.ended
            chunks = self.attachment.take()
            if chunks:
                collected += b"".join(chunk for _, chunk in chunks)
                continue
            if ended:
                assert self.exited.is_set()  # whoever sees the end of the output can ask for the exit code
                return collected
            assert self.news.wait(_S)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    busybox = shutil.which("busybox")
    needs(busybox is not None, "busybox-static is not installed")
    needs(shutil.which("bwrap") is not None, "bubblewrap is not installed")
    needs(os.geteuid() == 0, "namespaces need root")
    directory = tmp_path_factory.mktemp("root")
    (directory / "bin").mkdir()
    shutil.copy(busybox, directory / "bin" / "busybox")
    for name in ("sh", "cat", "sleep", "true", "id", "stty", "tty", "head"):
        (directory / "bin" / name).symlink_to("busybox")
    return directory


@pytest.fixture
def runner(tmp_path, open_descriptors):
    with runner_lock(tmp_path / "lock") as lock_fd, LauncherRunner(lock_fd, Cgroups()) as running:
        yield running


def plan(root, *arguments, **program):
    return RunPlan(
        sandbox=Sandbox(name="c", view=str(root), hostname="box"),
        program=Program(arguments=list(arguments), environment=["PATH=/bin"], **program),
    )


def test_output_and_exit_code(runner, root):
    ran = Ran()
    runner.run(plan(root, "sh", "-c", "echo out; echo err >&2; exit 3"), ran.output, None, ran.on_exit)
    assert sorted(ran.text().split()) == [b"err", b"out"]
    assert ran.code == 3


def test_a_signal_is_128_and_its_number(runner, root):
    ran = Ran()
    process = runner.run(plan(root, "sleep", "600"), ran.output, None, ran.on_exit)
    assert process.signal(9)
    assert ran.exited.wait(_S)
    assert ran.code == 137
    ran.text()
    assert not process.signal(9)


def test_input_ends(runner, root):
    ran, source = Ran(), Input()
    source.write(b"before the start, ", lambda: None)
    runner.run(plan(root, "cat"), ran.output, source, ran.on_exit)
    source.write(b"after it", lambda: None)
    source.end()
    assert ran.text() == b"before the start, after it"


def test_a_slow_reader_stops_the_program(runner, root):
    ran = Ran()
    runner.run(plan(root, "head", "-c", "20000000", "/dev/zero"), ran.output, None, ran.on_exit)
    assert not ran.exited.wait(0.5)  # it cannot get rid of its output
    assert ran.attachment._size < 2 << 20
    assert len(ran.text()) == 20_000_000


def test_a_terminal(runner, root):
    ran = Ran()
    wanted = plan(root, "sh", "-c", "tty; stty size", tty=True, rows=30, columns=90)
    runner.run(wanted, ran.output, None, ran.on_exit)
    assert ran.text() == b"/dev/pts/0\r\n30 90\r\n"


@pytest.mark.parametrize(
    ("arguments", "more", "text", "code"),
    [
        (["/no"], {}, 'exec: "/no": stat /no: no such file or directory', 127),
        (["no"], {}, 'exec: "no": executable file not found in $PATH', 127),
        (["/bin"], {}, 'exec: "/bin": is a directory', 126),
        (["true"], {"user": "ann"}, "unable to find user ann: no matching entries in passwd file", 126),
        (
            ["true"],
            {"directory": "/no"},
            'chdir to cwd ("/no") set in config.json failed: no such file or directory',
            127,
        ),
    ],
)
def test_what_cannot_start(runner, root, arguments, more, text, code):
    ran = Ran()
    with pytest.raises(CannotStart) as caught:
        runner.run(plan(root, *arguments, **more), ran.output, None, ran.on_exit)
    assert (str(caught.value), caught.value.exit_code) == (text, code)


def test_a_view_that_is_missing(runner, tmp_path):
    with pytest.raises(CannotStart, match="cannot make the sandbox: bwrap: Can't find source path"):
        runner.run(plan(tmp_path / "none", "true"), Output(), None, lambda code: None)


def test_exec_enters_the_container(runner, root):
    first = Ran()
    process = runner.run(plan(root, "sleep", "600"), first.output, None, first.on_exit)
    second = Ran()
    program = Program(arguments=["sh", "-c", "read -r a b < /proc/1/comm; echo $a $$"], environment=["PATH=/bin"])
    runner.exec(process, ExecPlan(program=program), second.output, None, second.on_exit)
    name, pid = second.text().split()
    assert name == b"sleep"
    assert int(pid) > 1
    process.signal(9)
    first.text()


def test_programs_end_with_the_runner(root, tmp_path):
    ran = Ran()
    with runner_lock(tmp_path / "lock") as lock_fd:
        with LauncherRunner(lock_fd, Cgroups()) as running:
            pid = running.run(plan(root, "sleep", "600"), ran.output, None, ran.on_exit).pid
        assert not os.path.exists(f"/proc/{pid}")
    with pytest.raises((CannotStart, Unavailable)):
        running.run(plan(root, "true"), Output(), None, lambda code: None)


def test_the_lock_is_free_after_the_runner(tmp_path):
    with runner_lock(tmp_path / "lock") as lock_fd, LauncherRunner(lock_fd, Cgroups()):
        assert subprocess.run(["flock", "-n", tmp_path / "lock", "true"]).returncode == 1
    assert subprocess.run(["flock", "-n", tmp_path / "lock", "true"]).returncode == 0
