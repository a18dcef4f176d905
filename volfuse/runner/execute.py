"""Becoming the program: terminal, user, limits, capabilities, and execve, inside the sandbox.

Failures carry runc's words, since Docker's clients take their exit status from them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import signal
import socket
import stat
import struct
import termios
from collections.abc import Mapping, Sequence
from typing import NoReturn

from volfuse.core.accounts import Account, resolve_account
from volfuse.core.capabilities import ALL
from volfuse.core.runplan import DEFAULT_PATH, Limit, Program
from volfuse.errors import InvalidSpec
from volfuse.runner.report import Terminal, send
from volfuse.sys.mount import MS_BIND, mount
from volfuse.sys.namespaces import deny_new_privileges, die_with_parent, drop_from_bounding_set

__all__ = [
    "CannotStart",
    "account_of",
    "become",
    "execute",
    "give_streams",
    "open_terminal",
    "set_limits",
    "set_oom_score",
    "take_terminal",
]

CANNOT_EXECUTE = 126
NOT_FOUND = 127

_TIOCGPTN = 0x80045430
_TIOCSPTLCK = 0x40045431
"""include/uapi/asm-generic/ioctls.h: number of a terminal of /dev/ptmx; its lock."""

_FILE_BYTES = 16 * 1024 * 1024
"""The longest passwd or group file that is read."""


class CannotStart(Exception):
    """The program cannot be started.

    Attributes:
        exit_code: what the client shall exit with.
    """

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def account_of(program: Program) -> Account:
    """Look up the program's user in the container's own files.

    Raises:
        CannotStart: it is not known there.
    """
    try:
        return resolve_account(program.user, _text("/etc/passwd"), _text("/etc/group"), program.groups)
    except InvalidSpec as exc:
        raise CannotStart(str(exc), CANNOT_EXECUTE) from exc


def _text(path: str) -> str:
    """Read a file of the container, which may be anything: not blocking, not without end."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # as if it were empty: a number is still a user
        return ""
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return file.read(_FILE_BYTES).decode(errors="surrogateescape")


def open_terminal(program: Program, channel: socket.socket, uid: int, *, console: bool) -> None:
    """Make a terminal of the container's own, send its master away and take it as standard streams.

    Args:
        console: also show it as /dev/console.
    """
    master_fd = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master_fd, _TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("i", fcntl.ioctl(master_fd, _TIOCGPTN, bytes(4)))[0]
    name = f"/dev/pts/{number}"
    slave_fd = os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if program.rows or program.columns:
        fcntl.ioctl(slave_fd, termios.TIOCSWINSZ, struct.pack("HHHH", program.rows, program.columns, 0, 0))
    _give(slave_fd, uid)
    if console:
        os.close(os.open("/dev/console", os.O_RDONLY | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC, 0o600))
        mount(os.fsencode(name), b"/dev/console", flags=MS_BIND)
    send(channel, Terminal(), master_fd)
    os.close(master_fd)
    for fd in (0, 1, 2):
        os.dup2(slave_fd, fd)
    os.close(slave_fd)


def take_terminal() -> None:
    """Make standard input the controlling terminal of a new session."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def give_streams(uid: int) -> None:
    """Let the user open /dev/stdout and the like: pipes belong to it."""
    for fd in (0, 1, 2):
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            _give(fd, uid)


def _give(fd: int, uid: int) -> None:
    try:
        os.fchown(fd, uid, -1)
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.EINVAL):  # an id that is not mapped: `become` says so
            raise


def set_limits(limits: Sequence[Limit]) -> None:
    """Set resource limits.

    Raises:
        CannotStart: one is not known or not allowed.
    """
    for limit in limits:
        number = getattr(resource, f"RLIMIT_{limit.name.upper()}", None)
        if number is None:
            raise CannotStart(f"invalid ulimit type: {limit.name}", 125)
        try:
            resource.setrlimit(number, (limit.soft, limit.hard))
        except (OSError, ValueError) as exc:
            raise CannotStart(f"error setting rlimit type {limit.name}: {exc}", 125) from exc


def set_oom_score(adjustment: int) -> None:
    """Say how much rather than others the kernel shall kill this process for lack of memory.

    Raises:
        CannotStart: less than before, which an ordinary user may not ask for.
    """
    if adjustment == 0:
        return
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(adjustment))
    except OSError as exc:
        raise CannotStart(f"error setting oom score adj to {adjustment}: {_reason(exc)}", 125) from exc


def become(program: Program, account: Account) -> None:
    """Take the program's directory, user, groups and capabilities.

    Raises:
        CannotStart: the directory is missing, or the user cannot be had here.
    """
    _change_directory(program.directory or "/")
    os.umask(0o022)
    for number in set(range(len(ALL))).difference(program.capabilities):
        try:
            drop_from_bounding_set(number)
        except OSError as exc:
            if exc.errno != errno.EINVAL:  # a capability that this kernel does not have
                raise
    try:
        _set_ids(account)
    except (PermissionError, OSError) as exc:
        if exc.errno not in (errno.EPERM, errno.EINVAL):
            raise
        text = f"setup user: cannot become {account.uid}:{account.gid} without root: the id is not mapped here"
        raise CannotStart(text, CANNOT_EXECUTE) from exc
    if program.no_new_privileges:
        deny_new_privileges()
    die_with_parent(signal.SIGKILL)


def _change_directory(directory: str) -> None:
    try:
        os.chdir(directory)
    except OSError as exc:
        reason = _reason(exc)
        raise CannotStart(f'chdir to cwd ("{directory}") set in config.json failed: {reason}', NOT_FOUND) from exc


def _set_ids(account: Account) -> None:
    try:
        os.setgroups(account.groups)
    except PermissionError:
        if account.groups:  # in a user namespace of an ordinary user there are none
            raise
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)


def execute(program: Program, account: Account) -> NoReturn:
    """Find the program and become it.

    Raises:
        CannotStart: there is no such program, or it cannot be executed.
    """
    environment = dict(entry.partition("=")[::2] for entry in program.environment)
    environment.setdefault("HOME", account.home)
    path = _find(program.arguments[0], environment)
    _reset_signals()
    encoded = {os.fsencode(k): os.fsencode(v) for k, v in environment.items()}
    try:
        os.execve(path, [os.fsencode(word) for word in program.arguments], encoded)
    except OSError as exc:
        if exc.errno == errno.ENOEXEC:  # runc has started the container by then: its output says so
            os.write(2, os.fsencode(f"exec {path}: exec format error\n"))
            os._exit(CANNOT_EXECUTE)
        raise _cannot(path, exc, stat_failed=False) from exc


def _find(name: str, environment: Mapping[str, str]) -> str:
    """Return the path of a program as Go's exec.LookPath does."""
    if "/" in name:
        problem = _problem(name)
        if problem is not None:
            raise _cannot(name, problem, stat_failed=problem.errno != errno.EACCES or not os.path.exists(name))
        return name
    for directory in environment.get("PATH", DEFAULT_PATH).split(":"):
        candidate = os.path.join(directory or ".", name)
        if _problem(candidate) is None:
            return candidate
    raise CannotStart(f'exec: "{name}": executable file not found in $PATH', NOT_FOUND)


def _problem(path: str) -> OSError | None:
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            return OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as exc:
        return exc
    if not os.access(path, os.X_OK, effective_ids=True):
        return OSError(errno.EACCES, os.strerror(errno.EACCES))
    return None


def _cannot(path: str, error: OSError, *, stat_failed: bool) -> CannotStart:
    missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    looked = f"stat {path}: " if stat_failed and error.errno != errno.EISDIR else ""
    return CannotStart(f'exec: "{path}": {looked}{_reason(error)}', NOT_FOUND if missing else CANNOT_EXECUTE)


def _reason(error: OSError) -> str:
    """Word an error as Go does: lower case."""
    return (error.strerror or str(error)).lower()


def _reset_signals() -> None:
    """Give the program the signals' default actions: Python ignores SIGPIPE and SIGXFSZ."""
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):  # SIGKILL, SIGSTOP and those of the C library
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
