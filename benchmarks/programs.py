"""Programs in containers: a start against bubblewrap alone, many at once, what a thousand rounds leave, a gigabyte."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.containers import resident_bytes
from benchmarks.results import Facts, ratio
from volfuse.cli.client import Client
from volfuse.runner.cgroups import Cgroups
from volfuse.sys.mountinfo import read_mountinfo
from volfuse.testing import DaemonProcess
from volfuse.transport.stalemounts import mounts_below

__all__ = ["BEYOND_MS", "GROWTH_MIB", "LEFT", "RUNNING", "WHOLE", "measure_programs"]

BEYOND_MS = "start, beyond 1.5 times bwrap alone"
RUNNING = "containers that run at once"
LEFT = "left of create, run and rm: "
WHOLE = "bytes of a gigabyte that came back from exec"
GROWTH_MIB = "memory of the daemon, grown by that gigabyte"

_IMAGE = "box"
_VOLUME = ("shared", "/shared")
_GIB = 1024 * 1024 * 1024
_PIECE = 1024 * 1024
_PATTERN = f"bytes(range(256)) * {_PIECE // 256}"
_RESET_PEAK = "5"
_STEADY_ROUNDS = 20
"""After which threads and descriptors that are kept have been made."""

Rows = list[tuple[str, float, str]]


def measure_programs(work: Path, rounds: int, at_once: int, runs: int, say: Callable[[str], None]) -> Facts:
    """Measure with the docker command, which is what a user's script would call, or with volfuse's own without it.

    Args:
        rounds: of starts.
        at_once: containers that run together.
        runs: create, run and remove rounds, after which is looked at what is left.
    """
    with DaemonProcess(work / "root") as daemon:
        command = _docker(daemon) or _volfuse(daemon)
        subprocess.run([*command, "import", "-", _IMAGE], input=_archive(), check=True, capture_output=True)
        rows: Rows = []
        for name, part in (
            ("starts", lambda: _starts(daemon, work, rounds)),
            ("at once", lambda: _at_once(daemon, command, at_once)),
            ("rounds", lambda: _rounds(daemon, command, runs)),
            ("a gigabyte", lambda: _gigabyte(daemon, command)),
        ):
            say(f"programs: {name}")
            rows += part()
    note = (
        f"By the command `{Path(command[0]).name}`. A start is `run --rm -v shared:/shared box true` until the command "
        "has ended; *bwrap alone* is the same program on a copy of the same files, in namespaces of its own with the "
        "same mounts. Rounds visit all in turn."
    )
    return Facts("programs", "Programs in containers", note, rows)


def _docker(daemon: DaemonProcess) -> list[str]:
    docker = shutil.which("docker")
    return [docker, "--host", daemon.docker_host] if docker else []


def _volfuse(daemon: DaemonProcess) -> list[str]:
    return [str(Path(sys.executable).with_name("volfuse")), "--root", str(daemon.root)]


def _archive() -> bytes:
    """Return an image with busybox."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise RuntimeError("programs cannot be measured: busybox is not installed (Debian package busybox-static)")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        program = tarfile.TarInfo("bin/busybox")
        program.mode, program.size = 0o755, os.path.getsize(busybox)
        with open(busybox, "rb") as content:
            tar.addfile(program, content)
        for name in ("true", "sleep", "cat"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return archive.getvalue()


def _starts(daemon: DaemonProcess, work: Path, rounds: int) -> Rows:
    name, destination = _VOLUME
    run = ["run", "--rm", "-v", f"{name}:{destination}", _IMAGE, "true"]
    commands = {"volfuse": [*_volfuse(daemon), *run]}
    if docker := _docker(daemon):
        commands["docker"] = [*docker, *run]
    for command in commands.values():
        _seconds(command)
    commands["bwrap"] = _alone(daemon, work / "tree")
    samples: dict[str, list[float]] = {who: [] for who in commands}
    for _ in range(rounds):
        for who, command in commands.items():
            samples[who].append(_seconds(command))
    judged = "docker" if docker else "volfuse"
    alone = samples.pop("bwrap")
    beyond = [whole - 1.5 * bare for whole, bare in zip(samples[judged], alone, strict=True)]
    return [
        (BEYOND_MS, statistics.median(beyond) * 1000, "ms"),
        *((f"start by {who}, against bwrap alone", ratio(times, alone), "×") for who, times in samples.items()),
    ]


def _alone(daemon: DaemonProcess, tree: Path) -> list[str]:
    """Return a command line of bubblewrap that does what a start does, on a copy of the image."""
    name, destination = _VOLUME
    shutil.copytree(next((daemon.root / "images").glob("*/rootfs")), tree, symlinks=True)
    for place in (destination, "/proc", "/dev"):
        (tree / place[1:]).mkdir(exist_ok=True)
    return [
        *("bwrap", "--unshare-all", "--bind", str(tree), "/"),
        *("--bind", str(daemon.root / "volumes" / name / "_data"), destination),
        *("--proc", "/proc", "--dev", "/dev", "--mqueue", "/dev/mqueue", "--tmpfs", "/dev/shm", "/bin/true"),
    ]


def _seconds(command: Sequence[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - begin


def _at_once(daemon: DaemonProcess, command: Sequence[str], count: int) -> Rows:
    """Start containers, all of which run until the last has been started."""
    before = resident_bytes(daemon.pid)
    for number in range(count):
        _seconds([*command, "run", "-d", "--name", f"c{number}", "-v", "shared:/shared", _IMAGE, "sleep", "3600"])
    client = Client(str(daemon.socket))
    try:
        running = len(client.get("/containers/json"))
        grown = resident_bytes(daemon.pid) - before
    finally:
        client.close()
    subprocess.run([*command, "rm", "-f", *(f"c{n}" for n in range(count))], check=True, capture_output=True)
    return [(RUNNING, running, f"of {count}"), ("memory of the daemon for each of them", grown / count / 1024, "KiB")]


def _rounds(daemon: DaemonProcess, command: Sequence[str], count: int) -> Rows:
    """Create, start, wait and remove; then look at what is there that was not before."""
    for number in range(_STEADY_ROUNDS):
        _round(command, number)
    before = _leftovers(daemon)
    for number in range(count):
        _round(command, number)
    after = _leftovers(daemon)
    return [(LEFT + what, float(after[what] - before[what]), f"after {count} rounds") for what in before]


def _round(command: Sequence[str], number: int) -> None:
    for words in (("create", "--name", f"r{number}", "-v", "/own", _IMAGE, "true"), ("start", "-a", f"r{number}")):
        _seconds([*command, *words])
    _seconds([*command, "rm", "-v", f"r{number}"])


def _leftovers(daemon: DaemonProcess) -> dict[str, int]:
    """Count what a container could leave on the machine."""
    pids = [daemon.pid, *_descendants(daemon.pid)]
    directories = [d for d in ("containers", "volumes", "staging", "views") if (daemon.root / d).is_dir()]
    return {
        "mounts": len(list(mounts_below(os.fsencode(daemon.root), read_mountinfo()))),
        "processes": len(pids),
        "descriptors": sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
        "directories": sum(len(os.listdir(daemon.root / d)) for d in directories)
        + sum(1 for root in set(Cgroups.find().roots.values()) for _ in root.glob("volfuse-*")),
    }


def _descendants(pid: int) -> Iterator[int]:
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
            yield int(child)
            yield from _descendants(int(child))


def _gigabyte(daemon: DaemonProcess, command: Sequence[str]) -> Rows:
    """Send a gigabyte through `cat` and take it back, and through a `cat` of the host's."""
    _seconds([*command, "run", "-d", "--name", "cat", _IMAGE, "sleep", "3600"])
    _through([*command, "exec", "-i", "cat", "cat"], 64 * _PIECE)
    Path(f"/proc/{daemon.pid}/clear_refs").write_text(_RESET_PEAK)
    before = _peak_bytes(daemon.pid)
    native = _through(["cat"], _GIB)
    ours = _through([*command, "exec", "-i", "cat", "cat"], _GIB)
    grown = _peak_bytes(daemon.pid) - before
    _seconds([*command, "rm", "-f", "cat"])
    return [
        (WHOLE, float(ours[1]), f"of {_GIB}"),
        (GROWTH_MIB, grown / _PIECE, "MiB"),
        ("a gigabyte through exec, against cat", ours[0] / native[0], "×"),
    ]


def _through(command: Sequence[str], size: int) -> tuple[float, int]:
    """Return the seconds that it took, and how many bytes came back as they were sent."""
    begin = time.perf_counter()
    with _sender(size) as sent, subprocess.Popen(command, stdin=sent, stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        digest, count = hashlib.blake2b(), 0
        while piece := program.stdout.read(_PIECE):
            digest.update(piece)
            count += len(piece)
    return time.perf_counter() - begin, count if digest.digest() == _expected(size) else 0


@contextmanager
def _sender(size: int) -> Iterator[int]:
    """Give the reading end of a pipe that a process fills."""
    script = f"import sys\nfor _ in range({size // _PIECE}): sys.stdout.buffer.write({_PATTERN})"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.stdout.fileno()


def _expected(size: int) -> bytes:
    digest, piece = hashlib.blake2b(), bytes(range(256)) * (_PIECE // 256)
    for _ in range(size // _PIECE):
        digest.update(piece)
    return digest.digest()


def _peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had at once."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the process is gone")
