"""Mixed operations in one view, or on the host: a watcher in another hears what one of a plain directory hears."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.inotify import Inotify, apart
from tests.integration.sharing import Sharing, sharing

_CHUNK = 50


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Sharing]:
    with sharing(tmp_path) as shared:
        yield shared


class Walk:
    """Does the same things in several places, at random: what a program can do to names, content and attributes.

    Directories `a`, `a/b` and `c` are there from the beginning and stay; `outside` is one that nobody watches.
    """

    WATCHED = ("", "a", "a/b", "c")

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._files: set[str] = set()
        self._linked: set[str] = set()
        self._directories: set[str] = set()
        self._serial = 0

    def step(self, *places: Path) -> None:
        """Do one thing in each place."""
        choices: list[Callable[[], Callable[[Path], object] | None]] = [
            self._create, self._create, self._mkdir, self._symlink, self._fifo, self._save,
        ]  # fmt: skip
        if self._files:
            choices += [self._append, self._truncate, self._chmod, self._times, self._link, self._unlink, self._xattr]
            choices += [self._rename, self._rename, self._replace, self._leave, self._arrive]
        if self._linked:
            choices += [self._unlink_one, self._rename_one]
        if self._directories:
            choices += [self._rmdir, self._chmod_directory, self._rename_directory]
        do = self._random.choice(choices)()
        if do is not None:
            for place in places:
                do(place)

    def _new(self, around: str | None = None) -> str:
        self._serial += 1
        return os.path.join(self._random.choice(self.WATCHED) if around is None else around, f"n{self._serial}")

    def _any(self, names: set[str]) -> str:
        return self._random.choice(sorted(names))

    def _create(self) -> Callable[[Path], object]:
        name = self._new()
        self._files.add(name)
        return lambda place: (place / name).write_bytes(b"content")

    def _save(self) -> Callable[[Path], object] | None:
        """As editors do: a new file is moved over the old one."""
        if not self._files:
            return None
        name = self._any(self._files)
        new = f"{name}.new"

        def do(place: Path) -> None:
            (place / new).write_bytes(b"edited")
            (place / new).rename(place / name)

        return do

    def _append(self) -> Callable[[Path], object]:
        name = self._any(self._files)

        def do(place: Path) -> None:
            with open(place / name, "ab", buffering=0) as file:
                file.write(b"more")

        return do

    def _truncate(self) -> Callable[[Path], object]:
        name, size = self._any(self._files), self._random.randrange(4)
        return lambda place: os.truncate(place / name, size)

    def _chmod(self) -> Callable[[Path], object]:
        name, mode = self._any(self._files), self._random.choice([0o600, 0o644])
        return lambda place: os.chmod(place / name, mode)

    def _times(self) -> Callable[[Path], object]:
        name, when = self._any(self._files), self._random.randrange(1 << 30)
        return lambda place: os.utime(place / name, ns=(when, when))

    def _xattr(self) -> Callable[[Path], object]:
        name = self._any(self._files)
        return lambda place: os.setxattr(place / name, "user.x", b"y")

    def _link(self) -> Callable[[Path], object]:
        """Of a file with several names it is told by one of them that it has changed: it does not change any more."""
        name, new = self._any(self._files), self._new()
        self._files.remove(name)
        self._linked |= {name, new}
        return lambda place: os.link(place / name, place / new)

    def _unlink_one(self) -> Callable[[Path], object]:
        name = self._any(self._linked)
        self._linked.remove(name)
        return lambda place: (place / name).unlink()

    def _rename_one(self) -> Callable[[Path], object]:
        name, new = self._any(self._linked), self._new()
        self._linked.remove(name)
        self._linked.add(new)
        return lambda place: (place / name).rename(place / new)

    def _symlink(self) -> Callable[[Path], object]:
        new = self._new()
        return lambda place: ((place / new).symlink_to("x"), (place / new).unlink())

    def _fifo(self) -> Callable[[Path], object]:
        new = self._new()
        return lambda place: (os.mkfifo(place / new), (place / new).unlink())

    def _unlink(self) -> Callable[[Path], object]:
        name = self._any(self._files)
        self._files.remove(name)
        return lambda place: (place / name).unlink()

    def _rename(self) -> Callable[[Path], object]:
        name, new = self._any(self._files), self._new()
        self._files.remove(name)
        self._files.add(new)
        return lambda place: (place / name).rename(place / new)

    def _replace(self) -> Callable[[Path], object] | None:
        name, old = self._any(self._files), self._any(self._files)
        if name == old:
            return None

        self._files.remove(name)
        return lambda place: (place / name).rename(place / old)

    def _leave(self) -> Callable[[Path], object]:
        name = self._any(self._files)
        self._files.remove(name)
        return lambda place: (place / name).rename(place / "outside" / os.path.basename(name))

    def _arrive(self) -> Callable[[Path], object]:
        new = self._new()
        self._files.add(new)

        def do(place: Path) -> None:
            (place / "outside" / "x").write_bytes(b"from elsewhere")
            (place / "outside" / "x").rename(place / new)

        return do

    def _mkdir(self) -> Callable[[Path], object]:
        name = self._new()
        self._directories.add(name)
        return lambda place: (place / name).mkdir()

    def _rmdir(self) -> Callable[[Path], object]:
        name = self._any(self._directories)
        self._directories.remove(name)
        return lambda place: (place / name).rmdir()

    def _chmod_directory(self) -> Callable[[Path], object]:
        name = self._any(self._directories)
        return lambda place: (place / name).chmod(0o700)

    def _rename_directory(self) -> Callable[[Path], object]:
        name, new = self._any(self._directories), self._new()
        self._directories.remove(name)
        self._directories.add(new)
        return lambda place: ((place / name).stat(), (place / name).rename(place / new))


def compare(expected: list[str], heard: list[str], *, exact: bool) -> None:
    """Compare what was heard.

    Where data is passed through, the end of an open file may be told once more: if something else has happened to the
    file, and be it that it was renamed, before the daemon has closed it too.
    """
    wanted = iter(expected)
    want = next(wanted, None)
    surplus, last = 0, ""
    for number, event in enumerate(heard):
        if event == want:
            last, want = event, next(wanted, None)
        elif event != last:
            assert " CLOSE_WRITE " in event, (
                f"{event!r} instead of {want!r} after {heard[max(number - 20, 0) : number]}"
            )
            surplus += 1
    assert want is None
    assert surplus <= (0 if exact else len(expected) / 100)


@pytest.mark.parametrize("author", ["one", "host", "both"])
def test_another_view_hears_what_a_plain_directory_hears(shared: Sharing, tmp_path: Path, author: str) -> None:
    bare = tmp_path / "bare"
    for place in (bare, shared.host):
        for name in ("", "a", "a/b", "c", "outside"):
            (place / name).mkdir(exist_ok=True)
    authors = {"one": [shared.one], "host": [shared.host], "both": [shared.one, shared.host]}[author]
    steps = int(os.environ.get("VOLFUSE_INOTIFY_STEPS", "500"))
    walk, chooser = Walk(7), random.Random(11)
    with closing(Inotify()) as plain, closing(Inotify()) as replayed:
        for name in Walk.WATCHED:
            plain.watch(bare / name, name or ".")
            replayed.watch(shared.two / name, name or ".")
        for name in Walk.WATCHED:
            shared.heard(replayed, name, name or ".")
        expected: list[str] = []
        heard: list[str] = []
        for number in range(steps):
            walk.step(bare, chooser.choice(authors))
            if number % _CHUNK == _CHUNK - 1 or number == steps - 1:
                # In step, so that the bounded queues hold everything: what is left out then has a test of its own.
                mark = f"mark-{number}"
                for place in (bare, authors[0]):
                    (place / mark).mkdir()
                expected += plain.until(f". CREATE|ISDIR {mark}")
                heard += replayed.until(f". CREATE|ISDIR {mark}")
        compare(apart(expected), apart(heard), exact=author == "host")
