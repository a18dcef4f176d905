"""Making a container's sandbox and moving into it; runs in a child of the launcher that is process 1 of its namespace.

bubblewrap's child is stopped by `--block-fd` until its namespaces are open here; then it may go on, cannot execute `/`
and ends, and the sandbox is held by who has entered it. Everything after entering sees the container's tree as `/`,
so a link in the tree cannot lead outside of it.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import json
import os
import subprocess
import termios
from collections.abc import Mapping
from contextlib import ExitStack

from volfuse.core.runplan import Sandbox
from volfuse.errors import Internal
from volfuse.runner.bubblewrap import bubblewrap_arguments, maskable
from volfuse.sys.mount import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REMOUNT, mount
from volfuse.sys.mountapi import (
    MOVE_MOUNT_F_EMPTY_PATH,
    MOVE_MOUNT_T_SYMLINKS,
    OPEN_TREE_CLOEXEC,
    OPEN_TREE_CLONE,
    move_mount,
    open_tree,
)
from volfuse.sys.namespaces import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUTS, set_domain_name, setns
from volfuse.sys.pidfd import pid_of

__all__ = ["build", "enter"]

_AT_FDCWD = -100
_NAMESPACES = (("ipc", CLONE_NEWIPC), ("uts", CLONE_NEWUTS), ("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS))
"""The mount namespace last: it takes root and working directory along."""


def build(sandbox: Sandbox) -> None:
    """Make a sandbox and make it this process' own.

    Raises:
        Internal: bubblewrap failed; the text has what it said.
        OSError: something else did.
    """
    with ExitStack() as stack:
        files = {destination: _clone(source, stack) for destination, source in sandbox.files.items()}
        namespaces = _bubblewrap(sandbox, stack)
        for fd, kind in namespaces:
            if (
                kind != CLONE_NEWNET or not sandbox.host_network
            ):  # it is ours already; an ordinary user may not enter it
                setns(fd, kind)
        os.chdir("/")
        if sandbox.domainname:
            set_domain_name(os.fsencode(sandbox.domainname))
        _allow_set_user_id()
        _mount_sys()
        _place(files)


def enter(pidfd: int, *, host_network: bool) -> None:
    """Enter the sandbox of a running container; the process namespace has been entered before the fork."""
    network = 0 if host_network else CLONE_NEWNET
    setns(pidfd, CLONE_NEWIPC | CLONE_NEWUTS | network | CLONE_NEWNS)
    os.chdir("/")


def _clone(source: str, stack: ExitStack) -> int:
    fd = open_tree(_AT_FDCWD, os.fsencode(source), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
    stack.callback(os.close, fd)
    return fd


def _bubblewrap(sandbox: Sandbox, stack: ExitStack) -> list[tuple[int, int]]:
    """Have bubblewrap make the namespaces; return their descriptors and kinds."""
    info_fd, info_writer = _pipe(stack)
    block_reader, block_fd = _pipe(stack)
    masked = frozenset(path for path in maskable() if os.path.isfile(path))
    own_fd = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, own_fd)
    arguments = bubblewrap_arguments(
        sandbox, pid_namespace_fd=own_fd, info_fd=info_writer, block_fd=block_reader, masked=masked
    )
    process = subprocess.Popen(
        ["bwrap", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(own_fd, info_writer, block_reader),
        env={"PATH": os.environ.get("PATH", os.defpath)},
        cwd="/",
    )
    with process:
        os.close(info_writer)
        try:
            namespaces = _open_namespaces(info_fd, stack)
            os.write(block_fd, b"\n")
        except (OSError, ValueError) as exc:
            process.kill()
            raise _failed(process) from exc
        complaint = _complaint(process)
    if _unread(block_fd):
        raise Internal(f"cannot make the sandbox: {complaint}")
    return namespaces


def _pipe(stack: ExitStack) -> tuple[int, int]:
    reader, writer = os.pipe()
    for fd in (reader, writer):
        stack.callback(_close, fd)
    return reader, writer


def _close(fd: int) -> None:
    with contextlib.suppress(OSError):  # closed on the way
        os.close(fd)


def _open_namespaces(info_fd: int, stack: ExitStack) -> list[tuple[int, int]]:
    """Open the namespaces of bubblewrap's child, which waits meanwhile.

    Its id holds in our process namespace, `/proc` is still the host's: the pidfd translates (pidfd_open(2), fdinfo).

    Raises:
        ValueError: bubblewrap ended before it had a child.
    """
    child = json.loads(_read_all(info_fd))["child-pid"]
    pidfd = os.pidfd_open(child)
    try:
        pid = pid_of(pidfd)
        opened = []
        for name, kind in _NAMESPACES:
            fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            opened.append((fd, kind))
        return opened
    finally:
        os.close(pidfd)


def _read_all(fd: int) -> bytes:
    chunks = []
    while chunk := os.read(fd, 4096):
        chunks.append(chunk)
        if b"}" in chunk:  # bubblewrap keeps the descriptor open
            break
    return b"".join(chunks)


def _complaint(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace").strip()
    process.wait()
    return said or f"bwrap ended with status {process.returncode}"


def _failed(process: subprocess.Popen[bytes]) -> Internal:
    return Internal(f"cannot make the sandbox: {_complaint(process)}")


def _unread(block_fd: int) -> bool:
    """Tell whether bubblewrap's child ended before it read its byte, and so before all was mounted."""
    count = array.array("i", [0])
    fcntl.ioctl(block_fd, termios.FIONREAD, count)
    return count[0] > 0


def _allow_set_user_id() -> None:
    """Let set-user-id programs work, as under Docker; bubblewrap mounts without (an ordinary user cannot have it)."""
    with contextlib.suppress(PermissionError):
        mount(b"none", b"/", flags=MS_REMOUNT | MS_BIND | MS_NODEV)


def _mount_sys() -> None:
    """Mount /sys read-only, where that is allowed (not with the host's network and without root)."""
    try:
        os.makedirs("/sys", exist_ok=True)
        mount(b"sysfs", b"/sys", b"sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.EACCES, errno.EROFS, errno.EBUSY):
            raise


def _place(files: Mapping[str, int]) -> None:
    """Put files of the host, already cloned as mounts, where the container expects them."""
    for destination, fd in files.items():
        try:
            _move(fd, destination)
        except FileNotFoundError:
            if _make_file(destination):
                _move(fd, destination)


def _move(fd: int, destination: str) -> None:
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS
    move_mount(fd, b"", _AT_FDCWD, os.fsencode(destination), flags)


def _make_file(path: str) -> bool:
    """Make an empty file where a path leads; tell whether that was possible, below a read-only root it is not."""
    target = os.path.realpath(path)
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644))
    except OSError as exc:
        if exc.errno == errno.EROFS:
            return False
        raise
    return True
