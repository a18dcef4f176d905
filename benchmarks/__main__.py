"""`python -m benchmarks`: tables of ratios, plots, and whether what must hold holds."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from benchmarks import markdown
from benchmarks.musthold import evaluate, held, report
from benchmarks.parts import CHECKED_VIEWS, PARTS, VIEWS, Plan, measure
from benchmarks.plots import write_plots
from benchmarks.results import Facts, Section
from benchmarks.servers import detach_below
from benchmarks.targets import BINDFS, FUSEPY, NATIVE, PRIVATE, SHARED, available, lacking

_CHECKED_PARTS = ["operations", "workloads", "views", "memory", "programs", "changes", "leases"]
_CHECKED_TARGETS = (NATIVE, SHARED, PRIVATE, FUSEPY, BINDFS)


def main() -> int:
    """Measure, print and return the exit status."""
    options = _parser().parse_args()
    for line in lacking(options.passthrough):
        print(f"note: {line}", file=sys.stderr)
    sections: list[Section | Facts] = []
    plan = _plan(options)
    _on_ending()
    with _work() as work:
        for part in _parts(options):
            section = measure(part, plan, work)
            sections.append(section)
            if not options.check:
                print(markdown.document([section]), flush=True)
    _write(options, sections)
    if not options.check:
        return 0
    verdicts = evaluate(sections)
    print(markdown.table(report(verdicts)))
    print(f"\n{_machine()}")
    return 0 if held(verdicts) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Compare volfuse with the host and its peers, as ratios within one run."
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"what to measure (default: all of {', '.join(PARTS)})"
    )
    parser.add_argument("--check", action="store_true", help="measure what must hold; exit status 1 if it does not")
    parser.add_argument("--rounds", type=int, default=61, help="rounds of a short measurement (default 61)")
    parser.add_argument("--slice", type=float, default=4, help="length of a short measurement in ms (default 4)")
    parser.add_argument("--only", default="", help="only operations whose name contains this")
    parser.add_argument("--files", type=int, default=10_000, help="files in the archive (default 10,000)")
    parser.add_argument("--containers", type=int, default=200, help="containers to create (default 200)")
    parser.add_argument(
        "--full",
        action="store_true",
        help="also a million files and a thousand containers: many minutes",
    )
    parser.add_argument("--spread", action="store_true", help="do not keep client and server on one processor")
    parser.add_argument("--passthrough", type=Path, metavar="PATH", help="libfuse's example passthrough_hp or another")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write medians and ratios")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write plots as SVG")
    parser.add_argument("--update", type=Path, metavar="FILE", help="write the tables between the marks of a document")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    targets = available(options.passthrough)
    if options.check:
        targets = {name: target for name, target in targets.items() if name in _CHECKED_TARGETS}
    return Plan(
        targets=targets,
        rounds=options.rounds,
        slice_s=options.slice / 1000,
        only=options.only,
        files=options.files,
        containers=options.containers,
        views=CHECKED_VIEWS if options.check else VIEWS,
        full=options.full,
        spread=options.spread,
        say=lambda text: print(f"  {text}", file=sys.stderr, flush=True),
    )


def _parts(options: argparse.Namespace) -> list[str]:
    if unknown := set(options.parts) - set(PARTS):
        raise SystemExit(f"scripts/bench: there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options.parts or (_CHECKED_PARTS if options.check else list(PARTS))


@contextmanager
def _work() -> Iterator[Path]:
    """Give a directory; nothing that was mounted there stays."""
    with tempfile.TemporaryDirectory(prefix="volfuse-bench-", ignore_cleanup_errors=True) as directory:
        try:
            yield Path(directory)
        finally:
            detach_below(Path(directory))


def _on_ending() -> None:
    """Take ctrl-C and SIGTERM once, as an exception, so that all mounts are taken down; ignore them meanwhile."""

    def handle(number: int, _frame: FrameType | None) -> None:
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, handle)


def _write(options: argparse.Namespace, sections: list[Section | Facts]) -> None:
    if options.json:
        options.json.write_text(json.dumps([section.to_json() for section in sections], indent=1) + "\n")
    plots = write_plots(options.plots, sections) if options.plots else []
    if options.update:
        measured = f"{_machine()}\n\n{markdown.document(sections, plots)}"
        options.update.write_text(markdown.between_marks(options.update.read_text(), measured))


def _machine() -> str:
    load = os.getloadavg()[1]
    return f"Linux {os.uname().release.partition('-')[0]}, {os.cpu_count()} processors, load average {load:.1f}."


if __name__ == "__main__":
    sys.exit(main())
