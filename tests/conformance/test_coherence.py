"""What one view changes is what the other and the host see, in the next system call.

`VOLFUSE_ROUNDS` sets the number of rounds (default 500; a fifth under fusepy, which is slow). Each round makes one
change on one side, picked at random, and checks name, attributes and content on all sides. The random numbers have a
fixed seed, so a failure comes again.
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conformance.targets import Target

ROUNDS = int(os.environ.get("VOLFUSE_ROUNDS", "500"))
NAMES = [f"n{number}" for number in range(12)]


@dataclass
class Model:
    """What the directory should hold."""

    files: dict[str, bytes] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)

    def free(self) -> list[str]:
        return [name for name in NAMES if name not in self.files and name not in self.directories]


Change = Callable[[Path, Model, random.Random], None]


def create(side: Path, model: Model, rng: random.Random) -> None:
    if names := model.free():
        name = rng.choice(names)
        content = rng.randbytes(rng.choice((0, 10, 5000)))
        with open(side / name, "xb") as file:
            file.write(content)
        model.files[name] = content
        model.modes[name] = 0o644


def write(side: Path, model: Model, rng: random.Random) -> None:
    if model.files:
        name = rng.choice(sorted(model.files))
        content = rng.randbytes(rng.choice((1, 10, 5000)))
        (side / name).write_bytes(content)
        model.files[name] = content


def patch(side: Path, model: Model, rng: random.Random) -> None:
    """Change bytes in place: the size stays, so only the content tells."""
    names = sorted(name for name, content in model.files.items() if content)
    if names:
        name = rng.choice(names)
        content = bytearray(model.files[name])
        position = rng.randrange(len(content))
        content[position] ^= 0xFF
        with open(side / name, "r+b", buffering=0) as file:
            os.pwrite(file.fileno(), content[position : position + 1], position)
        model.files[name] = bytes(content)


def append(side: Path, model: Model, rng: random.Random) -> None:
    if model.files:
        name = rng.choice(sorted(model.files))
        with open(side / name, "ab") as file:
            file.write(b"more")
        model.files[name] += b"more"


def truncate(side: Path, model: Model, rng: random.Random) -> None:
    if model.files:
        name = rng.choice(sorted(model.files))
        size = rng.choice((0, 1, 100))
        os.truncate(side / name, size)
        model.files[name] = model.files[name][:size].ljust(size, b"\0")


def rename(side: Path, model: Model, rng: random.Random) -> None:
    if model.files:
        old = rng.choice(sorted(model.files))
        new = rng.choice(sorted({*model.free(), *model.files} - {old}) or [old])
        os.rename(side / old, side / new)
        model.files[new] = model.files.pop(old)
        model.modes[new] = model.modes.pop(old)


def unlink(side: Path, model: Model, rng: random.Random) -> None:
    if model.files:
        name = rng.choice(sorted(model.files))
        os.unlink(side / name)
        del model.files[name], model.modes[name]


def mkdir(side: Path, model: Model, rng: random.Random) -> None:
    if names := model.free():
        name = rng.choice(names)
        os.mkdir(side / name)
        model.directories.add(name)


def rmdir(side: Path, model: Model, rng: random.Random) -> None:
    if model.directories:
        name = rng.choice(sorted(model.directories))
        os.rmdir(side / name)
        model.directories.remove(name)


def chmod(side: Path, model: Model, rng: random.Random) -> None:
    if model.files:
        name = rng.choice(sorted(model.files))
        model.modes[name] = rng.choice((0o600, 0o640, 0o755))
        os.chmod(side / name, model.modes[name])


CHANGES: list[Change] = [create, create, write, patch, append, truncate, rename, unlink, mkdir, rmdir, chmod]


def differences(side: Path, model: Model) -> list[str]:
    """Return what `side` shows otherwise than it should."""
    found = []
    if sorted(os.listdir(side)) != sorted({*model.files, *model.directories}):
        found.append(f"{side}: lists {sorted(os.listdir(side))}")
    for name in NAMES:
        try:
            status = os.lstat(side / name)
        except FileNotFoundError:
            if name in model.files or name in model.directories:
                found.append(f"{side}/{name}: missing")
            continue
        if name in model.files:
            content = model.files[name]
            if not stat.S_ISREG(status.st_mode) or status.st_size != len(content):
                found.append(f"{side}/{name}: size {status.st_size}, not {len(content)}")
            elif stat.S_IMODE(status.st_mode) != model.modes[name]:
                found.append(f"{side}/{name}: mode {status.st_mode:o}")
            elif (side / name).read_bytes() != content:
                found.append(f"{side}/{name}: other content")
        elif name not in model.directories or not stat.S_ISDIR(status.st_mode):
            found.append(f"{side}/{name}: should not be there")
    return found


@pytest.mark.gap("kernel-private", reason="a private tree is cached without end: only its view may change it")
def test_changes_are_seen_on_every_side_at_once(target: Target) -> None:
    rng, model = random.Random(20), Model()
    stale = []
    for number in range(ROUNDS // 5 if target.kind.startswith("fusepy") else ROUNDS):
        change, side = rng.choice(CHANGES), rng.choice(target.prompt)
        change(side, model, rng)
        for other in target.sides:
            stale += [f"round {number}, {change.__name__} on {side}: {text}" for text in differences(other, model)]
        assert not stale, stale
