"""Processes that change a few names in several views at once."""

from __future__ import annotations

import errno
import json
import os
import random
import select
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["DIRECTORIES", "Tally", "Work", "contending", "owning", "run", "tampering"]

DIRECTORIES = ("", "d1/", "d2/")
_LETTERS = "abc"
_LATE_S = 60.0
_USUAL = frozenset(
    {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EBUSY, errno.ELOOP}
)
"""What a program meets where others change the same names."""

Tally = Counter[str]
Work = Callable[[random.Random, Tally], None]
"""One step, which counts what it met."""


def owning(number: int, sides: list[Path]) -> Work:
    """Change names of one's own from random sides, and check from all of them after each change."""
    files: dict[str, int] = {}

    def pick(choose: random.Random) -> str:
        return f"{choose.choice(DIRECTORIES)}w{number}-{choose.choice(_LETTERS)}"

    def change(side: Path, choose: random.Random) -> None:
        name = pick(choose)
        if name not in files:
            content = choose.randbytes(choose.randrange(100))
            (side / name).write_bytes(content)
            files[name] = len(content)
        elif (chance := choose.random()) < 0.3:
            os.unlink(side / name)
            del files[name]
        elif chance < 0.7:
            new = pick(choose)
            os.rename(side / name, side / new)
            files[new] = files.pop(name)
        else:
            with (side / name).open("ab") as file:
                file.write(b"more")
            files[name] += 4

    def step(choose: random.Random, tally: Tally) -> None:
        try:
            change(choose.choice(sides), choose)
        except OSError as exc:
            tally[f"{errno.errorcode[exc.errno or 0]} of a change"] += 1
            return
        tally["changes"] += 1
        for side in sides:
            for name in (f"{directory}w{number}-{letter}" for directory in DIRECTORIES for letter in _LETTERS):
                tally["checks"] += 1
                problem = _problem(side / name, files.get(name))
                if problem:
                    tally[problem] += 1

    return step


def contending(_number: int, sides: list[Path]) -> Work:
    """Change the names that all change."""

    def step(choose: random.Random, tally: Tally) -> None:
        side = choose.choice(sides)
        old, new = (f"{choose.choice(DIRECTORIES)}{choose.choice(_LETTERS)}" for _ in range(2))
        kind = choose.choices(list(_CHANGES), [weight for weight, _ in _CHANGES.values()])[0]
        begun = time.monotonic()
        try:
            _CHANGES[kind][1](side / old, side / new)
        except OSError as exc:
            if exc.errno not in _USUAL:
                tally[f"{errno.errorcode[exc.errno or 0]} of {kind}"] += 1
        tally["changes"] += 1
        if time.monotonic() - begun > _LATE_S / 2:
            tally[f"slow {kind}"] += 1

    return step


def tampering(_number: int, sides: list[Path]) -> Work:
    """Change what `contending` does, a little more slowly."""
    step = contending(0, sides)

    def slowly(choose: random.Random, tally: Tally) -> None:
        step(choose, Tally())
        tally["host"] += 1
        time.sleep(0.001)

    return slowly


def run(works: list[Work], seconds: float) -> Tally:
    """Have each work done by a process of its own for so long; return what they met.

    Raises:
        AssertionError: one of them hangs, or has failed.
    """
    children = dict(_start(works, time.monotonic() + seconds))
    deadline = time.monotonic() + seconds + _LATE_S
    tally = Tally()
    try:
        for pid, pipe in children.items():
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"a writer hangs: {Path(f'/proc/{pid}/stack').read_text()}"
            report = os.read(pipe, 1 << 16).decode()
            assert report.startswith("{"), report
            tally.update(json.loads(report))
    finally:
        for pid, pipe in children.items():
            os.close(pipe)
            os.kill(pid, signal.SIGKILL)
        if sys.exc_info()[0] is None:  # else one may hang in the kernel, until the mount goes
            for pid in children:
                os.waitpid(pid, 0)
    return tally


def _start(works: list[Work], end: float) -> Iterator[tuple[int, int]]:
    for number, work in enumerate(works):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            _work(number, work, end, writer)
        os.close(writer)
        yield pid, reader


def _work(number: int, work: Work, end: float, writer: int) -> None:
    try:
        choose, tally = random.Random(number), Tally()
        while time.monotonic() < end:
            work(choose, tally)
        report = json.dumps(tally)
    except BaseException:  # noqa: BLE001 (the boundary of a child process)
        report = traceback.format_exc()
    finally:
        os.write(writer, report.encode())
        os._exit(0)


def _problem(path: Path, size: int | None) -> str:
    try:
        found = os.stat(path).st_size
    except FileNotFoundError:
        return "" if size is None else "stale: missing"
    except OSError as exc:
        return f"{errno.errorcode[exc.errno or 0]} of a check"
    if size is None:
        return "stale: still there"
    return "" if found == size else "stale: size"


def _create(old: Path, _new: Path) -> None:
    os.close(os.open(old, os.O_CREAT | os.O_WRONLY, 0o644))


def _beside(path: Path) -> Path:
    return path.with_name("m" + path.name)


_CHANGES: dict[str, tuple[float, Callable[[Path, Path], object]]] = {
    "open": (0.25, _create),
    "unlink": (0.2, lambda old, _: os.unlink(old)),
    "rename": (0.35, os.rename),
    "link": (0.05, os.link),
    "mkdir": (0.05, lambda old, _: os.mkdir(_beside(old))),
    "rmdir": (0.05, lambda old, _: os.rmdir(_beside(old))),
    "stat": (0.05, lambda old, _: os.stat(old)),
}
