"""What is to be run: a container's sandbox and program, or a further program in a running one.

Made by the engine, sent as JSON to the launcher, which is a process of its own. Pure values.
"""

from __future__ import annotations

import msgspec

__all__ = ["DEFAULT_PATH", "ExecPlan", "Limit", "OwnMount", "Program", "RunPlan", "Sandbox"]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Limit(msgspec.Struct, frozen=True):
    """A resource limit; `name` as in `--ulimit` (`nofile`), -1 is unlimited."""

    name: str
    soft: int
    hard: int


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program and the process that it gets.

    Attributes:
        arguments: the program, as a path or a name to be found in PATH, and its arguments.
        environment: `NAME=value`; HOME is added where it is missing.
        user: as the request named it.
        groups: names or numbers of further groups.
        directory: working directory; empty for `/`.
        tty: gets a terminal of `columns` and `rows` (0: not known) in place of pipes.
        capabilities: numbers of those it may have or get.
        no_new_privileges: set-user-id programs have no effect.
    """

    arguments: list[str]
    environment: list[str]
    user: str = ""
    groups: list[str] = []
    directory: str = ""
    tty: bool = False
    rows: int = 0
    columns: int = 0
    capabilities: tuple[int, ...] = ()
    no_new_privileges: bool = False


class OwnMount(msgspec.Struct, frozen=True):
    """A mount of the view, by its destination without links."""

    destination: str
    read_only: bool = False


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """The room that a container's programs run in.

    Attributes:
        view: host path of the container's view, its root.
        hostname: its host name.
        host_network: shares the host's network; otherwise it has a loopback device only.
        shm_bytes: size of /dev/shm.
        read_only: the root is read-only, but for `mounts`.
        mounts: the view's own mounts that are mounts of the sandbox too: those that are or surround a read-only one, so
            that programs are told so (statvfs), and those below `/dev`, which the sandbox's `/dev` would hide.
        files: destination to the host file that is bound there.
        init: a small init is process 1 and the program its child.
    """

    view: str
    hostname: str
    host_network: bool = False
    shm_bytes: int = 64 * 1024 * 1024
    read_only: bool = False
    mounts: list[OwnMount] = []
    files: dict[str, str] = {}
    init: bool = False


class RunPlan(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """Start a container."""

    sandbox: Sandbox
    program: Program
    limits: list[Limit] = []


class ExecPlan(msgspec.Struct, frozen=True, kw_only=True, tag="exec"):
    """Run a further program in a running container."""

    program: Program
    limits: list[Limit] = []
