"""What this machine can do for volfuse, and what to do about what it cannot. Needs no daemon."""

from __future__ import annotations

import ctypes.util
import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from volfuse.core.coherence import Coherence
from volfuse.errors import Unavailable
from volfuse.images.privatetree import PrivateTrees
from volfuse.runner.bubblewrap import trial_arguments
from volfuse.runner.cgroups import Cgroups
from volfuse.sys.openat2 import RESOLVE_IN_ROOT, openat2
from volfuse.sys.owned import owned
from volfuse.sys.reflink import clone_file
from volfuse.transport.fusermount import user_allow_other
from volfuse.transport.kernel import session
from volfuse.transport.kernel.initialise import passthrough_problem
from volfuse.transport.kernel.transport import KernelTransport

__all__ = ["Condition", "Finding", "coherence", "examine", "not_leased", "unwatched"]

_PYTHON = (3, 11)
_WATCHES = 65_536
_INSTANCES = 128
_DESCRIPTORS = 4096
_TRIAL_S = 10.0


class Condition(StrEnum):
    """How a capability is."""

    OK = "ok"
    DEGRADED = "degraded"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One capability: how it is, what was seen, and what to do (empty when there is nothing to do)."""

    capability: str
    state: Condition
    detail: str
    advice: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the entry of `GET /volfuse/doctor`."""
        return {
            "Capability": self.capability,
            "State": self.state.value,
            "Detail": self.detail,
            "Advice": self.advice,
        }


def examine(root: Path) -> list[Finding]:
    """Examine the machine for a state root, which need not exist; nothing that is tried stays behind."""
    existing = _nearest_existing(root)
    return [*_programs(), *_fuse(), *_file_system(existing), *_limits()]


def coherence(default: Coherence, transport: str) -> Finding:
    """Say how fresh volumes and binds are that choose no coherence."""
    if transport == "kernel":
        return Finding("coherence", Condition.OK, f"{default} where a volume, bind or mount chooses none")
    return Finding("coherence", Condition.OK, f"the {transport} transport keeps nothing, as exact, whatever is chosen")


def not_leased(reasons: Mapping[str, str]) -> Iterator[Finding]:
    """Say which sources are strict although leases were chosen, and why."""
    if reasons:
        detail = "strict instead: " + "; ".join(f"{source}: {reason}" for source, reason in reasons.items())
        advice = "raise fs.inotify.max_user_watches if watches ran out, then start the daemon again"
        yield Finding("leases", Condition.DEGRADED, detail, advice)


def unwatched(refusals: Sequence[str]) -> Iterator[Finding]:
    """Say whether all sources that are followed just now can be watched."""
    if refusals:
        detail = "looked at once a second instead of watched: " + "; ".join(refusals)
        advice = "raise fs.inotify.max_user_watches, or follow single volumes (`events --changes --volume`)"
        yield Finding("changes of the host", Condition.DEGRADED, detail, advice)


def _nearest_existing(path: Path) -> Path:
    path = path.absolute()
    return next(candidate for candidate in (path, *path.parents) if candidate.is_dir())


def _programs() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= _PYTHON:
        yield Finding("python", Condition.OK, version)
    else:
        yield Finding("python", Condition.MISSING, version, "use Python 3.11 or newer")
    yield _bubblewrap()
    yield _cgroups()
    yield _program(
        "docker client",
        ("docker",),
        Condition.OK,
        "optional: the `docker` command works with DOCKER_HOST=unix://SOCKET, `volfuse` needs it not",
    )


def _bubblewrap() -> Finding:
    """Make a sandbox: an old version lacks options, and a kernel may refuse namespaces."""
    consequence = "programs cannot be run in containers; views work"
    path = shutil.which("bwrap")
    if path is None:
        return _program("bubblewrap", ("bwrap",), Condition.DEGRADED, f"{consequence}: install the package bubblewrap")
    try:
        trial = subprocess.run(
            [path, *trial_arguments()], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TRIAL_S
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        return Finding("bubblewrap", Condition.DEGRADED, f"{path}: {exc}", f"{consequence}: repair bubblewrap")
    if trial.returncode == 0:
        return Finding("bubblewrap", Condition.OK, f"{path} makes sandboxes")
    advice = f"{consequence}: use bubblewrap 0.8 or newer, and allow user namespaces or run volfuse as root"
    said = trial.stderr.strip() or f"it ended with status {trial.returncode}"
    return Finding("bubblewrap", Condition.DEGRADED, f"{path}: {said}", advice)


def _cgroups() -> Finding:
    cgroups = Cgroups.find()
    if not cgroups.reason:
        limits = ", ".join(sorted(cgroups.controllers)) or "none"
        return Finding("cgroups", Condition.OK, f"version {cgroups.version}, limits: {limits}")
    return Finding(
        "cgroups",
        Condition.DEGRADED,
        cgroups.reason,
        "containers have no limits and cannot be paused: run volfuse as root where cgroups are mounted",
    )


def _program(capability: str, names: tuple[str, ...], otherwise: Condition, advice: str) -> Finding:
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found:
        return Finding(capability, Condition.OK, found)
    return Finding(capability, otherwise, f"{' or '.join(names)} is not in PATH", advice)


def _fuse() -> Iterator[Finding]:
    yield _device()
    yield _kernel_transport()
    yield _compiled()
    library = ctypes.util.find_library("fuse")
    if library:
        yield Finding("libfuse 2", Condition.OK, library)
    else:
        yield Finding(
            "libfuse 2", Condition.MISSING, "libfuse.so.2 was not found", "install libfuse2 (Debian) or fuse-libs"
        )
    if os.geteuid() == 0:
        yield Finding("fusermount", Condition.OK, "not needed: root mounts by itself")
        yield Finding("other users", Condition.OK, "root may let all users into its mounts")
        return
    yield _program(
        "fusermount", ("fusermount3", "fusermount"), Condition.MISSING, "install fuse3, or run volfuse as root"
    )
    yield _allow_other()


def _device() -> Finding:
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return Finding("fuse device", Condition.MISSING, "/dev/fuse does not exist", "load the module: modprobe fuse")
    except OSError as exc:
        advice = "give this user access to /dev/fuse, or run volfuse as root"
        return Finding("fuse device", Condition.MISSING, f"/dev/fuse: {exc.strerror}", advice)
    return Finding("fuse device", Condition.OK, "/dev/fuse can be opened")


def _kernel_transport() -> Finding:
    works, reason = KernelTransport.available()
    if works:
        return Finding("kernel transport", Condition.OK, reason)
    return Finding(
        "kernel transport",
        Condition.DEGRADED,
        reason,
        "views are served by fusepy instead: slower, see docs/fusepy-limits.md; make /dev/fuse usable",
    )


def _compiled() -> Finding:
    if not session.__file__.endswith(".py"):
        return Finding("compiled modules", Condition.OK, "the kernel transport is compiled")
    return Finding(
        "compiled modules",
        Condition.DEGRADED,
        "the kernel transport runs as plain Python: looking up names takes about twice the time",
        "install a C compiler and Python's headers (gcc, python3-dev), then volfuse again",
    )


def _passthrough(trial: str) -> Finding:
    problem = passthrough_problem(trial)
    if not problem:
        return Finding("passthrough", Condition.OK, "the kernel reads and writes files of sources itself")
    return Finding(
        "passthrough",
        Condition.DEGRADED,
        f"reads and writes go through the daemon: {problem}",
        "run volfuse as root on Linux 6.9 or newer",
    )


def _allow_other(path: str = "/etc/fuse.conf") -> Finding:
    if user_allow_other(path):
        return Finding("other users", Condition.OK, f"{path} has user_allow_other")
    return Finding(
        "other users",
        Condition.DEGRADED,
        f"{path} has no line user_allow_other: only this user can look into views",
        f"add the line user_allow_other to {path}",
    )


def _file_system(directory: Path) -> Iterator[Finding]:
    if not os.access(directory, os.W_OK | os.X_OK):
        detail = f"{directory} cannot be written to"
        yield Finding("state root", Condition.MISSING, detail, "choose another with --root or VOLFUSE_ROOT")
        return
    yield Finding("state root", Condition.OK, f"{directory} can be written to")
    with tempfile.TemporaryDirectory(prefix=".volfuse-doctor-", dir=directory) as trial:
        yield _passthrough(trial)
        yield _private_trees(Path(trial))
        yield _xattrs(trial)
        yield _reflinks(trial)
    yield _openat2()


def _private_trees(trial: Path) -> Finding:
    trees = PrivateTrees(trial)
    if trees.mode == "overlay":
        return Finding("private trees", Condition.OK, "overlay mounts, attached nowhere")
    local = "use a local file system for the root (ext4, xfs, btrfs), not an overlay"
    advice = "run volfuse as root to have overlay mounts" if os.geteuid() else local
    return Finding("private trees", Condition.DEGRADED, f"copies: {trees.reason}", advice)


def _xattrs(trial: str) -> Finding:
    try:
        os.setxattr(trial, "user.volfuse", b"1")
    except OSError as exc:
        if exc.errno not in (errno.EOPNOTSUPP, errno.EPERM, errno.ENOSPC):
            raise
        advice = "use a file system with extended attributes for the root (ext4, xfs, btrfs)"
        return Finding("extended attributes", Condition.DEGRADED, exc.strerror or str(exc), advice)
    return Finding("extended attributes", Condition.OK, "user attributes can be set")


def _reflinks(trial: str) -> Finding:
    with tempfile.TemporaryFile(dir=trial) as source, tempfile.TemporaryFile(dir=trial) as target:
        source.write(b"volfuse")
        source.flush()
        if clone_file(source.fileno(), target.fileno()):
            return Finding("reflinks", Condition.OK, "copies share their blocks")
    return Finding(
        "reflinks",
        Condition.DEGRADED,
        "the file system has none: copies take time and space",
        "use btrfs or xfs for the root where images are large",
    )


def _openat2() -> Finding:
    try:
        with owned(os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as directory:
            os.close(openat2(directory, b".", os.O_PATH, resolve=RESOLVE_IN_ROOT))
    except (Unavailable, OSError) as exc:
        return Finding("openat2", Condition.DEGRADED, f"{exc}: paths are walked one name at a time", "use Linux 5.6")
    return Finding("openat2", Condition.OK, "paths are resolved by the kernel")


def _limits() -> Iterator[Finding]:
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = descriptors == resource.RLIM_INFINITY
    yield _limit(
        "open files", sys.maxsize if unlimited else descriptors, _DESCRIPTORS, f"raise LimitNOFILE to {_DESCRIPTORS}"
    )
    for name, least in (("max_user_watches", _WATCHES), ("max_user_instances", _INSTANCES)):
        yield _limit(
            f"inotify {name}", _sysctl(f"/proc/sys/fs/inotify/{name}"), least, f"sysctl fs.inotify.{name}={least}"
        )


def _sysctl(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return 0


def _limit(capability: str, value: int, least: int, advice: str) -> Finding:
    if value >= least:
        return Finding(capability, Condition.OK, f"{value}")
    return Finding(capability, Condition.DEGRADED, f"{value} is low", advice)
