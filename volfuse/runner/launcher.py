"""The launcher: a process of one thread that starts all programs and sees them end.

The daemon cannot do this itself: it has threads, and must never look up a path below the mount that it serves. The
launcher is forked for each program, so a start does not pay for a new interpreter. When the daemon goes away, however
that happens, the launcher kills all programs, waits for them and ends. It holds the runner's lock until then.

Messages are JSON, one for each packet. Daemon to launcher: `Launch`, with the descriptors of standard input, output and
error, of the report channel (`runner.report`), of the plan, and for a further program a pidfd of the container's
process 1. Launcher to daemon: `Launched` with a pidfd, later `Ended`.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import msgspec

from volfuse.core.runplan import ExecPlan, RunPlan
from volfuse.errors import VolfuseError
from volfuse.runner import cgroups, execute, init, report, sandbox
from volfuse.sys.fdpassing import receive_with_fds
from volfuse.sys.namespaces import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    die_with_parent,
    setns,
    unshare,
)

__all__ = ["MESSAGE_BYTES", "Ended", "Launch", "Launched", "main"]

MESSAGE_BYTES = 4096
_MAX_FDS = 6
_TEXT_LENGTH = 8192


class Launch(msgspec.Struct, frozen=True, tag="launch"):
    """Start a program; `serial` names it in the answers."""

    serial: int


class Launched(msgspec.Struct, frozen=True, tag="launched"):
    """A process was made; its pidfd comes with the message, or none if that failed."""

    serial: int


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """A process ended; `exit_code` is 128 and the signal's number where a signal ended it."""

    serial: int
    exit_code: int


_Plan = RunPlan | ExecPlan


def main() -> int:
    """Serve the daemon on the control socket that is standard input; the argument is the descriptor of the lock."""
    os.set_inheritable(int(sys.argv[1]), False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    control_fd = os.dup(0)
    null_fd = os.open(os.devnull, os.O_RDWR)
    os.dup2(null_fd, 0)
    os.close(null_fd)
    if os.geteuid() != 0 and (inner := _become_root_of_own_namespace()):
        os.close(control_fd)
        _, status = os.waitpid(inner, 0)
        return os.waitstatus_to_exitcode(status)
    with socket.socket(fileno=control_fd) as control:
        _Launcher(control).serve()
    return 0


def _become_root_of_own_namespace() -> int:
    """As an ordinary user: be root in a user namespace that knows this user only; return as fork does.

    The process namespace is a new one too: only into one of its own may the launcher return after each fork.
    """
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    inner = os.fork()
    if inner == 0:
        die_with_parent(signal.SIGKILL)
    return inner


class _Launcher:
    """The loop: one thread, children by their pidfds."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._children: dict[int, tuple[int, int]] = {}  # pidfd -> pid, serial
        self._freezers: dict[int, str] = {}  # directories by pidfd

    def serve(self) -> None:
        """Serve until the daemon closes the socket; then end all programs."""
        self._selector.register(self._control, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._control:
                    self._reap(key.fd)
                elif not self._receive():
                    self._end_all()
                    return

    def _receive(self) -> bool:
        try:
            body, fds = receive_with_fds(self._control, MESSAGE_BYTES, _MAX_FDS)
        except ConnectionError:
            return False
        if not body:
            return False
        try:
            self._launch(msgspec.json.decode(body, type=Launch).serial, fds)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _launch(self, serial: int, fds: Sequence[int]) -> None:
        *_, channel_fd, plan_fd = fds[:5]
        target_fd = fds[5] if len(fds) > 5 else -1
        try:
            plan: _Plan = msgspec.json.decode(os.pread(plan_fd, os.fstat(plan_fd).st_size, 0), type=_Plan)
            pid = self._fork(target_fd)
            if pid == 0:
                _child(plan, fds[:3], channel_fd, target_fd)
        except OSError as exc:
            with socket.socket(fileno=os.dup(channel_fd)) as channel:
                report.send(channel, report.Failure(f"cannot make a process: {exc}", 125))
            self._send(Launched(serial))
            return
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = (pid, serial)
        self._freezers[pidfd] = plan.freezer if isinstance(plan, RunPlan) else ""
        self._selector.register(pidfd, selectors.EVENT_READ)
        self._send(Launched(serial), pidfd)

    def _fork(self, target_fd: int) -> int:
        """Fork into a new process namespace, or into that of a running container."""
        if target_fd < 0:
            unshare(CLONE_NEWPID)
        else:
            setns(target_fd, CLONE_NEWPID)
        pid = os.fork()
        if pid != 0:
            setns(self._own_pid_namespace, CLONE_NEWPID)
        return pid

    def _reap(self, pidfd: int) -> None:
        pid, serial = self._children.pop(pidfd)
        del self._freezers[pidfd]
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._send(Ended(serial, code if code >= 0 else 128 - code))

    def _send(self, message: Launched | Ended, *fds: int) -> None:
        with contextlib.suppress(ConnectionError):  # the daemon is gone; the next receive says so
            socket.send_fds(self._control, [msgspec.json.encode(message)], fds)

    def _end_all(self) -> None:
        for pidfd in self._children:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            cgroups.thaw(self._freezers[pidfd])
        for pid, _ in self._children.values():
            os.waitpid(pid, 0)


def _child(plan: _Plan, streams: Sequence[int], channel_fd: int, target_fd: int) -> NoReturn:
    """Become the program; a failure is reported, and the process ends. Never returns to the loop."""
    code = 125
    try:
        with socket.socket(fileno=os.dup(channel_fd)) as channel:
            os.close(channel_fd)
            code = _start(plan, streams, channel, target_fd)
    finally:
        os._exit(code)


def _start(plan: _Plan, streams: Sequence[int], channel: socket.socket, target_fd: int) -> int:
    try:
        die_with_parent(signal.SIGKILL)
        members = cgroups.members_files(plan.cgroups)  # before they are out of sight
        match plan:
            case RunPlan():
                sandbox.build(plan.sandbox)
                return _run(plan, streams, channel, members, with_init=plan.sandbox.init)
            case ExecPlan():
                sandbox.enter(target_fd, host_network=plan.host_network)
                return _run(plan, streams, channel, members, with_init=False)
    except execute.CannotStart as exc:
        failure = report.Failure(str(exc)[:_TEXT_LENGTH], exc.exit_code)
    except (VolfuseError, OSError) as exc:
        failure = report.Failure(_words(exc)[:_TEXT_LENGTH], 125)
    except Exception as exc:  # noqa: BLE001 - the boundary of a process
        traceback.print_exc()
        failure = report.Failure(f"unexpected error: {type(exc).__name__}: {exc}"[:_TEXT_LENGTH], 125)
    report.send(channel, failure)
    return failure.exit_code


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def _run(
    plan: _Plan, streams: Sequence[int], channel: socket.socket, members: Sequence[int], *, with_init: bool
) -> int:
    program = plan.program
    account = execute.account_of(program)
    if program.tty:
        execute.open_terminal(program, channel, account.uid, console=isinstance(plan, RunPlan))
    else:
        for target, fd in enumerate(streams):
            os.dup2(fd, target)
        execute.give_streams(account.uid)
    execute.set_limits(plan.limits)
    execute.set_oom_score(program.oom_score_adj)
    cgroups.join(members)
    execute.become(program, account)
    if with_init and (child := os.fork()) != 0:
        return init.attend(child)
    if program.tty:
        execute.take_terminal()
    else:
        os.setsid()
    return execute.execute(program, account)


if __name__ == "__main__":
    sys.exit(main())
