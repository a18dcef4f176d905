"""`python -m benchmarks`: the table of operations, and what many containers cost."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.containers import measure_containers
from benchmarks.operations import OPERATIONS, Operation, Run
from benchmarks.targets import available


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Compare volfuse with the host and its peers.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each operation (default 5)")
    parser.add_argument("--only", default="", help="operations whose name contains this")
    parser.add_argument("--containers", type=int, default=200, help="containers to create; 0 to leave that out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="volfuse-bench-") as work:
        _measure_operations(Path(work), options.rounds, options.only)
        if options.containers:
            print()
            measure_containers(Path(work) / "many", options.containers)


def _measure_operations(work: Path, rounds: int, only: str) -> None:
    with ExitStack() as stack:
        directories = {name: stack.enter_context(target(work)) for name, target in available().items()}
        names = list(directories)
        print(f"medians of {rounds} rounds; native in µs for one, the others as multiples of native\n")
        print(" | ".join(["operation", *names]))
        print(" | ".join(["---"] * (len(names) + 1)))
        for operation in OPERATIONS:
            if only in operation.name:
                print(" | ".join([operation.name, *_row(operation, directories, rounds)]), flush=True)


def _row(operation: Operation, directories: dict[str, Path], rounds: int) -> list[str]:
    runs: dict[str, Run] = {}
    for name, directory in directories.items():
        own = directory / operation.name.replace(" ", "-")
        own.mkdir()
        runs[name] = operation.prepare(own)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):  # side by side: each round visits all targets
        for name, run in runs.items():
            begin = time.perf_counter()
            run(operation.count)
            times[name].append((time.perf_counter() - begin) / operation.count)
    medians = [statistics.median(values) for values in times.values()]
    native = medians[0]
    return [f"{native * 1e6:.1f}", *(f"{value / native:.1f}×" for value in medians[1:])]


if __name__ == "__main__":
    main()
