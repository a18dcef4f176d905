"""What one side changes the others see with their next system call, also while four processes write.

VOLFUSE_STALENESS_ROUNDS sets the rounds of each writer (500; by hand 100,000 and more).
"""

from __future__ import annotations

import os
import random
import stat
import traceback
from pathlib import Path

import pytest

from tests.integration.kernel.conftest import Sides

ROUNDS = int(os.environ.get("VOLFUSE_STALENESS_ROUNDS", "500"))
WRITERS = 4


class Writer:
    """Changes names of its own in a shared directory from random sides, and checks from all after each change."""

    def __init__(self, number: int, directories: list[Path]) -> None:
        self.random = random.Random(number)
        self.directories = directories
        self.prefix = f"w{number}-"
        self.files: dict[str, bytes] = {}

    def round(self) -> list[str]:
        side = self.random.choice(self.directories)
        name = self.prefix + self.random.choice("abc")
        if name not in self.files:
            content = self.random.randbytes(self.random.randrange(200))
            (side / name).write_bytes(content)
            self.files[name] = content
        else:
            change = self.random.choice((self.append, self.remove, self.rename, self.truncate))
            change(side, name)
        return [problem for directory in self.directories for problem in self.problems(directory)]

    def append(self, side: Path, name: str) -> None:
        with (side / name).open("ab") as file:
            file.write(b"more")
        self.files[name] += b"more"

    def remove(self, side: Path, name: str) -> None:
        os.unlink(side / name)
        del self.files[name]

    def rename(self, side: Path, name: str) -> None:
        new = self.prefix + self.random.choice("abc")
        os.rename(side / name, side / new)
        self.files[new] = self.files.pop(name)

    def truncate(self, side: Path, name: str) -> None:
        os.truncate(side / name, 3)
        self.files[name] = self.files[name][:3].ljust(3, b"\0")

    def problems(self, directory: Path) -> list[str]:
        found = []
        for letter in "abc":
            name = self.prefix + letter
            try:
                status = os.stat(directory / name)
            except FileNotFoundError:
                if name in self.files:
                    found.append(f"{directory}/{name} is missing")
                continue
            if name not in self.files:
                found.append(f"{directory}/{name} is still there")
            elif not stat.S_ISREG(status.st_mode) or status.st_size != len(self.files[name]):
                found.append(f"{directory}/{name} has {status.st_size} bytes, not {len(self.files[name])}")
            elif (directory / name).read_bytes() != self.files[name]:
                found.append(f"{directory}/{name} has other content")
        listed = {name for name in os.listdir(directory) if name.startswith(self.prefix)}
        if listed != set(self.files):
            found.append(f"{directory} lists {sorted(listed)}")
        return found


def run_writer(number: int, directories: list[Path]) -> int:
    """Return the exit status of a child that does all rounds: 0 if nothing was stale."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        writer = Writer(number, directories)
        stale = [problem for _ in range(ROUNDS) for problem in writer.round()]
        for problem in stale[:10]:
            os.write(2, problem.encode() + b"\n")
        status = 3 if stale else 0
    except Exception:  # noqa: BLE001 (the boundary of a child process)
        traceback.print_exc()
    finally:
        os._exit(status)


@pytest.mark.timeout(0 if ROUNDS > 2000 else 120)
def test_nothing_is_stale_with_four_writers_on_three_sides(sides: Sides) -> None:
    directories = []
    for side in (sides.one, sides.two, sides.host):
        directories.append(side / "shared")
    directories[0].mkdir()
    pids = [run_writer(number, directories) for number in range(WRITERS)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * WRITERS


def test_attributes_of_a_directory_are_right_in_the_other_view_at_once(sides: Sides) -> None:
    (sides.one / "d").mkdir()
    fd = os.open(sides.two / "d", os.O_RDONLY)
    for number in range(ROUNDS):
        os.fstat(fd)
        (sides.one / f"d/{number}").mkdir()
        assert os.fstat(fd).st_nlink == number + 3
    os.close(fd)


def test_an_open_file_of_an_exact_mount_has_the_hosts_attributes_at_once(sides: Sides, base: Path) -> None:
    root = {"destination": "", "source": str(base / "root-two"), "private": True}
    sides.server.attach("exact", root, {"destination": "vol", "source": str(base / "vol"), "coherence": "exact"})
    (sides.host / "f").touch()
    fd = os.open(sides.server.mountpoint / "exact/vol/f", os.O_RDONLY)
    for number in range(1, ROUNDS):
        os.stat(sides.one / "f")  # a strict view: would let the kernel keep them for a tick
        os.fstat(fd)
        os.truncate(sides.host / "f", number)
        assert os.fstat(fd).st_size == number
    os.close(fd)
