"""`python -m benchmarks.kernel`: the kernel transport against native, bindfs with all timeouts 0, and fusepy.

Ratios to each peer, medians of rounds that visit all targets in turn, so that a busy machine slows all alike.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.operations import OPERATIONS, Operation, Run


@contextmanager
def _served(base: Path, transport: str, views: int = 2) -> Iterator[Path]:
    base.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.kernel_server", transport, str(base), str(views)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"{transport} did not start")
        yield base / "views"
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@contextmanager
def _bindfs(base: Path) -> Iterator[Path]:
    source, mount = base / "source", base / "mount"
    (source / "below").mkdir(parents=True)
    mount.mkdir()
    subprocess.run(
        ["bindfs", "-o", "attr_timeout=0,entry_timeout=0,negative_timeout=0", str(source), str(mount)], check=True
    )
    try:
        yield mount / "below"
    finally:
        subprocess.run(["umount", "--lazy", str(mount)], check=True)


def _targets(work: Path, stack: ExitStack) -> dict[str, Path]:
    (work / "native" / "below").mkdir(parents=True)
    found = {"native": work / "native" / "below"}
    if shutil.which("bindfs"):
        found["bindfs"] = stack.enter_context(_bindfs(work / "bindfs"))
    found["fusepy"] = stack.enter_context(_served(work / "fusepy", "fusepy")) / "c0/vol/below"
    views = stack.enter_context(_served(work / "kernel", "kernel"))
    found["shared"] = views / "c0/vol/below"
    found["private"] = views / "c0/below"
    return found


def _row(operation: Operation, directories: dict[str, Path], rounds: int) -> dict[str, float]:
    runs: dict[str, Run] = {}
    for name, directory in directories.items():
        own = directory / operation.name.replace(" ", "-")
        own.mkdir()
        runs[name] = operation.prepare(own)
        runs[name](max(operation.count // 20, 1))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.perf_counter()
            run(operation.count)
            times[name].append((time.perf_counter() - begin) / operation.count * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernel")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="volfuse-bench-") as directory, ExitStack() as stack:
        directories = _targets(Path(directory), stack)
        print(f"µs per operation, medians of {options.rounds} rounds; then how often as fast the shared directory is")
        print(" | ".join(["operation", *directories, "×bindfs", "×fusepy", "native/shared", "native/private"]))
        for operation in OPERATIONS:
            if options.only in operation.name:
                found = _row(operation, directories, options.rounds)
                ratios = [found.get("bindfs", 0) / found["shared"], found["fusepy"] / found["shared"]]
                ratios += [found["native"] / found["shared"], found["native"] / found["private"]]
                cells = [f"{value:.1f}" for value in found.values()] + [f"{value:.2f}" for value in ratios]
                print(" | ".join([operation.name, *cells]), flush=True)


if __name__ == "__main__":
    main()
