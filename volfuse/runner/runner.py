"""The runner: the daemon's side of the launcher. Implements `engine.ports.Runner`."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from volfuse.core.runplan import ExecPlan, RunPlan
from volfuse.engine.ports import Process
from volfuse.engine.streams import STDERR, STDOUT, Input, Output
from volfuse.errors import CannotStart, Conflict, Unavailable
from volfuse.runner import report
from volfuse.runner.cgroups import Cgroup, Cgroups
from volfuse.runner.launcher import MESSAGE_BYTES, Ended, Launch, Launched
from volfuse.runner.loop import READ, Loop
from volfuse.runner.process import RunningProcess, Streams
from volfuse.sys.fdpassing import receive_with_fds
from volfuse.sys.pidfd import pid_of

__all__ = ["LauncherRunner", "runner_lock"]

_log = logging.getLogger(__name__)

_START_S = 120.0
_END_S = 30.0
_PIPE_BYTES = 1024 * 1024
_KILLED = 128 + signal.SIGKILL

_News = Launched | Ended
_decoder: msgspec.json.Decoder[_News] = msgspec.json.Decoder(_News)


class LauncherRunner:
    """Starts programs through one launcher process; a context manager that ends them all.

    Args:
        lock_fd: descriptor of the lock (`runner_lock`), which the launcher holds too.
        cgroups: where the cgroups of containers are made.
    """

    def __init__(self, lock_fd: int, cgroups: Cgroups) -> None:
        self._lock_fd = lock_fd
        self.cgroups = cgroups
        self._serials = itertools.count(1)
        self._sending = threading.Lock()  # one message at a time
        self._guard = threading.Lock()
        self._processes: dict[int, RunningProcess] = {}  # by serial; guarded by _guard
        self._closing = False
        self._stack = ExitStack()
        self._control: socket.socket | None = None
        self._loop: Loop | None = None

    def __enter__(self) -> LauncherRunner:
        """Start the launcher."""
        with ExitStack() as stack:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            launcher = subprocess.Popen(
                [sys.executable, "-m", "volfuse.runner.launcher", str(self._lock_fd)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                pass_fds=(self._lock_fd,),
                start_new_session=True,
                cwd="/",
            )
            theirs.close()
            stack.callback(ours.close)
            loop = Loop()
            stack.callback(loop.close)
            stack.callback(_await_end, launcher)
            stack.callback(_half_close, ours)
            loop.call(lambda: loop.watch(ours.fileno(), READ, self._receive))
            self._control, self._loop = ours, loop
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Kill what runs and end the launcher."""
        self._closing = True
        self._stack.close()
        self._lose_all()

    def run(self, plan: RunPlan, output: Output, input: Input | None, on_exit: Callable[[int], None]) -> Process:
        """Start a container's program (`engine.ports.Runner`)."""
        if shutil.which("bwrap") is None:
            raise Unavailable("programs cannot be run in containers: install the Debian package bubblewrap")
        cgroup = self.cgroups.of(plan.sandbox.name)
        try:
            cgroup.limit(plan.sandbox.resources)
            plan = msgspec.structs.replace(plan, freezer=cgroup.freezer)
            return self._start(plan, output, input, on_exit, (), cgroup)
        except BaseException:
            cgroup.remove()
            raise

    def exec(
        self, container: Process, plan: ExecPlan, output: Output, input: Input | None, on_exit: Callable[[int], None]
    ) -> Process:
        """Start a further program in a running container (`engine.ports.Runner`)."""
        assert isinstance(container, RunningProcess)
        try:
            target_fd = container.copy_pidfd()
        except ProcessLookupError as exc:
            raise Conflict("the container is not running") from exc
        try:
            return self._start(plan, output, input, on_exit, (target_fd,), container.cgroup)
        finally:
            os.close(target_fd)

    def _start(
        self,
        plan: RunPlan | ExecPlan,
        output: Output,
        source: Input | None,
        on_exit: Callable[[int], None],
        target: Sequence[int],
        cgroup: Cgroup,
    ) -> RunningProcess:
        if self._control is None or self._loop is None:
            raise Unavailable("the runner has not been started")
        streams = Streams(self._loop, output, source)
        process = RunningProcess(on_exit, streams, cgroup)
        plan = msgspec.structs.replace(plan, cgroups=cgroup.made)
        with ExitStack() as ours:
            with ExitStack() as theirs:
                channel, their_channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                ours.enter_context(channel)
                theirs.enter_context(their_channel)
                plan_fd = _plan_file(plan)
                theirs.callback(os.close, plan_fd)
                pipes = _Pipes(theirs, ours, tty=plan.program.tty, with_input=source is not None)
                self._request(process, [*pipes.theirs, their_channel.fileno(), plan_fd, *target])
            process.made.wait()
            self._await_start(process, channel, pipes)
            pipes.kept = True
        streams.connect(pipes.outputs, pipes.input, tty=plan.program.tty)
        process.set_started()
        return process

    def _request(self, process: RunningProcess, fds: Sequence[int]) -> None:
        """Ask the launcher for a process; `process.made` is set when it has answered."""
        serial = next(self._serials)
        with self._guard:
            self._processes[serial] = process
        assert self._control is not None
        try:
            with self._sending:
                socket.send_fds(self._control, [msgspec.json.encode(Launch(serial))], fds)
        except OSError as exc:
            with self._guard:
                self._processes.pop(serial, None)
            raise CannotStart(f"the launcher of programs has ended: {exc.strerror}", 125) from exc

    def _await_start(self, process: RunningProcess, channel: socket.socket, pipes: _Pipes) -> None:
        """Read what the child says until it is the program.

        Raises:
            CannotStart: it says that it cannot be.
        """
        channel.settimeout(_START_S)
        try:
            while True:
                message, fds = report.receive(channel)
                match message:
                    case report.Terminal():
                        pipes.take_terminal(fds[0])
                        process.set_terminal(os.dup(fds[0]))
                    case report.Failure(text=text, exit_code=code):
                        raise CannotStart(text, code)
                    case None:
                        break
        except TimeoutError as exc:
            process.signal(signal.SIGKILL)
            raise CannotStart(f"the program did not start within {_START_S:.0f} s", 125) from exc
        if process.pid == 0:
            raise CannotStart("the launcher of programs has ended", 125)

    def _receive(self) -> None:
        """Take news of the launcher; on the loop's thread."""
        assert self._control is not None
        assert self._loop is not None
        body, fds = receive_with_fds(self._control, MESSAGE_BYTES, 1)
        if not body:
            self._loop.unwatch(self._control.fileno())
            self._lose_all()
            return
        news = _decoder.decode(body)
        match news:
            case Launched(serial=serial):
                with self._guard:
                    process = self._processes[serial] if fds else self._processes.pop(serial)
                process.set_made(pid_of(fds[0]) if fds else 0, fds[0] if fds else -1)
            case Ended(serial=serial, exit_code=code):
                with self._guard:
                    process = self._processes.pop(serial)
                process.set_ended(code)
                process.release()

    def _lose_all(self) -> None:
        """The launcher has ended, and all programs with it."""
        with self._guard:
            lost, self._processes = list(self._processes.values()), {}
        if lost and not self._closing:
            _log.error("the launcher of programs ended; %d programs ended with it", len(lost))
        for process in lost:
            if not process.made.is_set():
                process.set_made(0, -1)
            process.set_ended(_KILLED)
            process.release()


def _half_close(control: socket.socket) -> None:
    """Tell the launcher to end all programs and itself."""
    with contextlib.suppress(OSError):  # it has ended already
        control.shutdown(socket.SHUT_WR)


def _await_end(launcher: subprocess.Popen[bytes]) -> None:
    try:
        launcher.wait(_END_S)
    except subprocess.TimeoutExpired:
        _log.error("the launcher does not end: killing it, and its programs with it")
        launcher.kill()
        launcher.wait()


class _Pipes:
    """The streams of a program that is being started: the launcher's ends and ours.

    Attributes:
        theirs: descriptors of standard input, output and error.
        outputs: ours of output and error, with the numbers of the streams.
        input: ours of the input, or -1.
        kept: whether ours have been taken over, so that they are not closed here.
    """

    def __init__(self, theirs: ExitStack, ours: ExitStack, *, tty: bool, with_input: bool) -> None:
        self._ours = ours
        self._with_input = with_input
        self.outputs: list[tuple[int, int]] = []
        self.input = -1
        self.kept = False
        null_fd = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        theirs.callback(os.close, null_fd)
        self.theirs = [null_fd, null_fd, null_fd]
        if tty:
            return
        if with_input:
            self.theirs[0], self.input = self._pipe(theirs, 0)
        for stream in (STDOUT, STDERR):
            fd, self.theirs[stream] = self._pipe(theirs, 1)
            self.outputs.append((fd, stream))

    def _pipe(self, theirs: ExitStack, their_end: int) -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        theirs.callback(os.close, ends[their_end])
        self._own(ends[1 - their_end])
        try:
            fcntl.fcntl(ends[0], fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError as exc:
            if exc.errno != errno.EPERM:  # the user has too many large pipes: a small one does
                raise
        return ends

    def take_terminal(self, fd: int) -> None:
        """Use a terminal's master as output and, if there shall be one, as input."""
        self._own(fd)
        self.outputs = [(fd, STDOUT)]
        if self._with_input:
            self.input = os.dup(fd)
            self._own(self.input)

    def _own(self, fd: int) -> None:
        def close() -> None:
            if not self.kept:
                os.close(fd)

        self._ours.callback(close)


def _plan_file(plan: RunPlan | ExecPlan) -> int:
    fd = os.memfd_create("plan", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(msgspec.json.encode(plan))
    return fd


@contextmanager
def runner_lock(path: Path) -> Iterator[int]:
    """Hold the lock that says that programs of this state root may run; give its descriptor.

    Waits until the launcher of a killed daemon has ended its programs, which still hold private trees.

    Raises:
        Unavailable: it does not end.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        done = subprocess.run(
            ["flock", "--timeout", f"{_END_S:.0f}", str(fd)], pass_fds=(fd,), stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            raise Unavailable("programs of the last daemon do not end")
        yield fd
    finally:
        os.close(fd)
