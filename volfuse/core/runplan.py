"""What is to be run: a container's sandbox and program, or a further program in a running one.

Made by the engine, sent as JSON to the launcher, which is a process of its own. Pure values.
"""

from __future__ import annotations

import msgspec

from volfuse.core.wire import Resources

__all__ = ["DEFAULT_PATH", "DEFAULT_SHM_BYTES", "ExecPlan", "Limit", "OwnMount", "Program", "RunPlan", "Sandbox"]

DEFAULT_SHM_BYTES = 64 * 1024 * 1024
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
        oom_score_adj: how much rather than others the kernel kills it for lack of memory.
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
    oom_score_adj: int = 0


class OwnMount(msgspec.Struct, frozen=True):
    """A mount of the view, by its destination without links."""

    destination: str
    read_only: bool = False


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """The room that a container's programs run in.

    Attributes:
        name: the container's id.
        view: host path of the container's view, its root.
        hostname: its host name.
        domainname: its NIS domain name, if it has one.
        host_network: shares the host's network; otherwise it has a loopback device only.
        shm_bytes: size of /dev/shm.
        read_only: the root is read-only, but for `mounts`.
        mounts: the view's own mounts that are mounts of the sandbox too: those that are or surround a read-only one, so
            that programs are told so (statvfs), and those below `/dev`, which the sandbox's `/dev` would hide.
        files: destination to the host file that is bound there.
        init: a small init is process 1 and the program its child.
        resources: limits of all its programs together.
    """

    name: str
    view: str
    hostname: str
    domainname: str = ""
    host_network: bool = False
    shm_bytes: int = DEFAULT_SHM_BYTES
    read_only: bool = False
    mounts: list[OwnMount] = []
    files: dict[str, str] = {}
    init: bool = False
    resources: Resources = Resources()


class RunPlan(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """Start a container.

    Attributes:
        cgroups: directories of the cgroups that the program becomes a member of; the runner fills them in.
        freezer: directory of the cgroup that it is in while its container is paused, if it has to be let go on before
            it can be killed; likewise.
    """

    sandbox: Sandbox
    program: Program
    limits: list[Limit] = []
    cgroups: list[str] = []
    freezer: str = ""


class ExecPlan(msgspec.Struct, frozen=True, kw_only=True, tag="exec"):
    """Run a further program in a running container; `cgroups` as in `RunPlan`, `host_network` as in `Sandbox`."""

    program: Program
    limits: list[Limit] = []
    cgroups: list[str] = []
    host_network: bool = False
