"""Views and the host change one volume: each change is told once, by whom it was done."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import rootfs
from tests.support import needs
from volfuse.testing import DaemonProcess

VOLFUSE = Path(sys.executable).parent / "volfuse"
Told = tuple[str, str, str, str]
"""Who, what, path, new path."""


class World:
    """A volume in two containers and on the host, and what a follower hears of it."""

    def __init__(self, daemon: DaemonProcess) -> None:
        client = docker.DockerClient(base_url=daemon.docker_host)
        client.api.import_image_from_data(rootfs(), repository="small", tag="1")
        client.api.create_container("small:1", name="one", host_config=client.api.create_host_config(binds=["data:/v"]))
        client.api.create_container(
            "small:1", name="two", host_config=client.api.create_host_config(volumes_from=["one"])
        )
        self.sides = {
            "one": daemon.views / "one" / "v",
            "two": daemon.views / "two" / "v",
            "host": Path(client.api.inspect_volume("data")["Mountpoint"]),
        }
        client.close()
        self._marks = 0
        follow = ["events", "--changes", "--volume", "data", "--format", "json", "--since", "1"]
        self._follower = subprocess.Popen([VOLFUSE, "--root", daemon.root, *follow], stdout=subprocess.PIPE)

    def begin(self) -> None:
        """Wait until the host is heard: the head of the answer comes after that."""
        (self.sides["one"] / "ready").mkdir()
        self.until("ready")

    def until(self, path: str) -> list[Told]:
        """Return what was told up to the first change of a path."""
        assert self._follower.stdout is not None
        found: list[Told] = []
        while not found or found[-1][2] != path:
            line = self._follower.stdout.readline()
            assert line, found
            change = json.loads(line)
            assert "Missed" not in change
            who = change.get("Container", change["Origin"])
            found.append((who, change["Kind"], change["Path"], change.get("NewPath", "")))
        return found

    def sync(self) -> list[Told]:
        """Return what was told of all that was done so far."""
        self._marks += 1
        found = []
        for side in ("host", "one"):
            name = f"mark-{self._marks}-{side}"
            (self.sides[side] / name).mkdir()
            found += self.until(name)[:-1]
        return found

    def close(self) -> None:
        self._follower.kill()
        self._follower.wait()
        assert self._follower.stdout is not None
        self._follower.stdout.close()


@pytest.fixture(params=["kernel", "fusepy"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    needs(os.geteuid() == 0, "the host's side of a volume is root's")
    with DaemonProcess(tmp_path / "root", "--transport", request.param) as daemon:
        world = World(daemon)
        try:
            world.begin()
            yield world
        finally:
            world.close()
        assert "Traceback" not in daemon.log, daemon.log


class Walker:
    """Does something somewhere at random, as one side, and notes what must be told.

    It waits until a new directory is watched: the kernel tells nothing of what is made and removed in it before.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.expected: list[Told] = []
        self.told: list[Told] = []
        self._world = world
        self._sides = world.sides
        self._random = random.Random(seed)
        self._directories = [""]
        self._files: list[str] = []
        self._number = 0

    def step(self) -> None:
        """Do one thing; two equal ones in a row are one event of the kernel."""
        self._who = self._random.choice(list(self._sides))
        steps: list[Callable[[], None]] = [self._mkdir, self._create, self._create]
        if self._files:
            steps += [self._delete, self._chmod, self._rename, self._write]
        if len(self._directories) > 1:
            steps += [self._rename_directory]
        self._random.choice(steps)()

    def _path(self, place: str) -> Path:
        return self._sides[self._who] / place

    def _new(self) -> str:
        self._number += 1
        # Few names: those of removed files come again.
        name = f"n{self._random.randrange(8)}" if self._random.random() < 0.5 else f"x{self._number}"
        return os.path.join(self._random.choice(self._directories), name)

    def _tell(self, what: str, place: str, new: str = "") -> None:
        self.expected.append((self._who, what, place, new))

    def _free(self) -> str:
        while (place := self._new()) in self._files or place in self._directories:
            pass
        return place

    def _mkdir(self) -> None:
        place = self._free()
        self._path(place).mkdir()
        self._directories.append(place)
        self._tell("mkdir", place)
        self.told += self._world.sync()

    def _create(self) -> None:
        place = self._free()
        os.mknod(self._path(place), 0o600)
        self._files.append(place)
        self._tell("create", place)

    def _delete(self) -> None:
        place = self._files.pop(self._random.randrange(len(self._files)))
        self._path(place).unlink()
        self._tell("delete", place)

    def _chmod(self) -> None:
        place = self._random.choice(self._files)
        if self.expected[-1][1:3] == ("attrib", place):
            return
        self._path(place).chmod(self._random.choice([0o600, 0o644]))
        self._tell("attrib", place)

    def _write(self) -> None:
        """On a name of one's own: what the host writes while a view has the file open is taken for the view's."""
        place = os.path.join(self._random.choice(self._directories), f"w{self._number}-{self._who}")
        self._number += 1
        self._path(place).write_bytes(b"content")
        self._files.append(place)
        self._tell("create", place)
        self._tell("write", place)

    def _rename(self) -> None:
        old = self._files.pop(self._random.randrange(len(self._files)))
        new = self._free()
        self._path(old).rename(self._path(new))
        self._files.append(new)
        self._tell("rename", old, new)

    def _rename_directory(self) -> None:
        old = self._random.choice(self._directories[1:])
        new = self._free()
        if new.startswith(old + "/"):
            return
        # As mv does: a directory that was moved elsewhere, and is first used by rename(2), is ESTALE (fs/dcache.c,
        # __d_unalias).
        self._path(old).stat()
        self._path(old).rename(self._path(new))

        def moved(place: str) -> str:
            return new + place[len(old) :] if place == old or place.startswith(old + "/") else place

        self._directories = [moved(place) for place in self._directories]
        self._files = [moved(place) for place in self._files]
        self._tell("rename", old, new)


@pytest.mark.parametrize("seed", range(3))
def test_each_change_is_told_once_and_by_whom(world: World, seed: int) -> None:
    walker = Walker(world, seed)
    for _ in range(300):
        walker.step()
    told = walker.told + world.sync()
    missed, spurious = Counter(walker.expected) - Counter(told), Counter(told) - Counter(walker.expected)
    assert (missed, spurious) == (Counter(), Counter())
    for who in world.sides:
        assert [change for change in told if change[0] == who] == [
            change for change in walker.expected if change[0] == who
        ]
