"""The broadcast: what feed and replay cost who writes, how late a follower or watcher hears, and whether of all."""

from __future__ import annotations

import json
import os
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.containers import create, import_empty
from benchmarks.results import Facts, ratio
from benchmarks.rounds import Measure, calibrated, in_turn
from volfuse.cli.client import Client
from volfuse.core.feed import ChangeKind, Through
from volfuse.fs.changelog import ChangeLog
from volfuse.fs.descriptors import Caller
from volfuse.fs.source import MissingSource
from volfuse.fs.view import Mount
from volfuse.testing import DaemonProcess
from volfuse.transport.kernel.mounts import MountState
from volfuse.transport.kernel.nodes import Directory, DirectoryNode
from volfuse.transport.kernel.publishing import Publisher

__all__ = [
    "EVENT",
    "FEED",
    "FOLLOWED",
    "HOST",
    "LATE",
    "MEDIAN",
    "PACED",
    "UNFOLLOWED",
    "UNHEARD",
    "WRONG",
    "measure_changes",
]

FOLLOWED = "create+unlink, feed followed against not"
WATCHED = "create+unlink, another view watched against not"
PACED = ", 1,000 changes/s"
UNBROKEN = ", without a break"
FEED, HOST, EVENT = "a change in the feed", "a host's change in the feed", "an event in the other view"
MEDIAN, LATE = ", median", ", 99th percentile"
UNHEARD, WRONG = " not heard", "of these out of order"
UNFOLLOWED = "create+unlink, feed that nobody follows against none"
_WRITERS = 4
_RATE = 1000
_PROBE_S = 0.02

Rows = list[tuple[str, float, str]]
Ending = Callable[[Path], dict[str, Any]]
"""Ends listening by a change there, and returns what was heard."""


class _Served:
    """A daemon with a volume in two views."""

    def __init__(self, daemon: DaemonProcess) -> None:
        client = Client(str(daemon.socket))
        import_empty(client)
        create(client, "one", binds=["data:/v"])
        create(client, "two", volumes_from=["one"])
        client.close()
        self.socket = daemon.socket
        self.one, self.two = (daemon.views / name / "v" for name in ("one", "two"))
        self.host = daemon.root / "volumes/data/_data"

    @contextmanager
    def follower(self) -> Iterator[Ending]:
        """Follow the feed; what is yielded ends that, and returns what was heard."""
        with _listening("feed", str(self.socket), "volume=data") as process:
            assert process.stdout is not None
            process.stdout.readline()
            yield lambda place: _end(place, process)

    @contextmanager
    def watcher(self) -> Iterator[Ending]:
        """Watch the second view, likewise."""
        with _listening("watch", str(self.two)) as process:
            assert process.stdout is not None
            process.stdout.readline()
            number = 0
            while not select.select([process.stdout], [], [], _PROBE_S)[0]:
                number += 1
                (self.one / f"probe-{number}").mkdir()
            process.stdout.readline()
            yield lambda place: _end(place, process)


def _end(place: Path, process: subprocess.Popen[str]) -> dict[str, Any]:
    (place / "end").mkdir()
    assert process.stdout is not None
    heard: dict[str, Any] = json.loads(process.stdout.readline())
    (place / "end").rmdir()
    return heard


@contextmanager
def _listening(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.listening", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def measure_changes(work: Path, rounds: int, slice_s: float, changes: int, say: Callable[[str], None]) -> Facts:
    """Measure.

    Args:
        changes: by four writers, to be heard of.
    """
    with ExitStack() as stack:
        names = ("alone", "followed", "watched")
        served = {name: _Served(stack.enter_context(DaemonProcess(work / name))) for name in names}
        say("changes: cost")
        rows = _cost(served, rounds, slice_s)
        say("changes: latency")
        rows += _latency(served["followed"])
        say(f"changes: {changes:,} by {_WRITERS} writers")
        rows += _all_heard(served["followed"], changes)
    note = (
        "Cost to who writes: ratios of rounds that visit daemons in turn. Nobody follows the feed of one, somebody "
        "that of another, and in the third a watcher (inotify) in the other view makes replay. Client, daemons, "
        "listeners and whatever else the machine does share its processors, and a daemon is one interpreter. "
        "Against no feed at all: by the time of a publication alone. Lateness is from before the change to when "
        f"a process in Python has heard of it, at {_RATE} changes a second through a view for the feed, "
        f"{_RATE // 5} for the rest."
    )
    return Facts("changes", "Changes, told", note, rows)


def _cost(served: Mapping[str, _Served], rounds: int, slice_s: float) -> Rows:
    rows: Rows = []
    with served["followed"].follower() as heard, served["watched"].watcher() as watched:
        for how, rate in ((PACED, _RATE), (UNBROKEN, 0)):
            measures = {name: _create_unlink(place.one, slice_s, rate) for name, place in served.items()}
            row = in_turn("create+unlink", measures, rounds)
            alone = row.samples["alone"]
            rows.append((FOLLOWED + how, ratio(row.samples["followed"], alone), "×"))
            rows.append((WATCHED + how, ratio(row.samples["watched"], alone), "×"))
        heard(served["followed"].one)
        watched(served["watched"].one)
    publication = 2 * _publication_s() / statistics.median(alone)
    return [*rows, (UNFOLLOWED, 1 / (1 - publication), "×")]


def _create_unlink(directory: Path, slice_s: float, rate: int) -> Measure:
    """Return a measure of the time of a file's creation and removal, of `rate` changes a second, or without a break."""
    path = os.fspath(directory / "file")

    def once() -> None:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.unlink(path)

    def paced() -> float:
        times = []
        begin = time.monotonic()
        for number in range(max(round(slice_s * rate / 2), 1)):
            time.sleep(max(begin + number * 2 / rate - time.monotonic(), 0))
            start = time.perf_counter()
            once()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    def unbroken(count: int) -> None:
        for _ in range(count):
            once()

    return paced if rate else calibrated(unbroken, slice_s)


def _publication_s() -> float:
    """Return how long it takes to publish a change that nobody reads."""
    log = ChangeLog()
    publisher = Publisher(log)
    shown = Mount(b"v", MissingSource(b"/v", OSError()), through=Through("id", "one", b"/v"))
    mount = MountState(shown, file_system=0)
    mount.root = Directory(b"k" * 24, None, b"")
    node, asker = DirectoryNode(1, None, mount, mount.root, None, None), Caller(0, 0, 1)
    count, best = 20_000, float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(count):
            publisher.entry(asker, ChangeKind.CREATE, node, b"file")
        best = min(best, (time.perf_counter() - begin) / count)
        log.take()
    return best


def _latency(served: _Served) -> Rows:
    rows: Rows = []
    for name, directory, rate, listen in (
        (FEED, served.one, _RATE, served.follower),
        (HOST, served.host, _RATE // 5, served.follower),
        (EVENT, served.one, _RATE // 5, served.watcher),
        ("a host's event in a view", served.host, _RATE // 5, served.watcher),
    ):
        with listen() as heard:
            _paced(directory, rate, rate * 5)
            late = sorted(heard(directory)["late_ns"])
        if len(late) != rate * 5:
            raise RuntimeError(f"{name}: {len(late)} of {rate * 5} were heard")
        for what, at in ((MEDIAN, 0.5), (LATE, 0.99)):
            rows.append((name + what, late[int(len(late) * at)] / 1e6, "ms"))
    return rows


def _paced(directory: Path, rate: int, count: int) -> None:
    """Make directories at a steady rate, each called by the time just before, and remove those of a while ago."""
    begin = time.monotonic()
    for number in range(count):
        left_s = begin + number / rate - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        os.mkdir(directory / str(time.monotonic_ns()))
    for entry in os.listdir(directory):
        os.rmdir(directory / entry)


def _all_heard(served: _Served, changes: int) -> Rows:
    each = changes // _WRITERS
    for writer in range(_WRITERS):
        (served.one / f"{writer}-0").write_bytes(b"")
    script = "for i in range(int(sys.argv[2])): os.rename(f'{sys.argv[1]}-{i}', f'{sys.argv[1]}-{i + 1}')"
    command = [sys.executable, "-c", f"import os, sys\n{script}"]
    with served.follower() as heard:
        begin = time.monotonic()
        writers = [
            subprocess.Popen([*command, str(number), str(each)], cwd=(served.one, served.two)[number % 2])
            for number in range(_WRITERS)
        ]
        ends = [writer.wait() for writer in writers]
        took_s = time.monotonic() - begin
        told = heard(served.one)
    if any(ends):
        raise RuntimeError("a writer has failed")
    unheard = each * _WRITERS - told["renames"] + told["missed"]
    return [
        (f"of {changes:,} changes by {_WRITERS} writers{UNHEARD}", unheard, ""),
        (WRONG, told["wrong"], ""),
        ("their rate", changes / took_s, "changes/s"),
    ]
