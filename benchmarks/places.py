"""What a target gives: a directory, the same one in other views, and a way to put a tree there unseen."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.rounds import Failed

__all__ = ["Place", "extract"]


class Place:
    """A directory to measure in, the mount itself or a volume's root.

    Attributes:
        views: the same directory once for each view; only one where a target knows no views.
        source: the host's directory behind it; None where it is reached only through the mount.
        pid: of the process that serves it; None for the bare directory.
    """

    def __init__(
        self,
        views: Sequence[Path],
        source: Path | None,
        pid: int | None = None,
        plant: Callable[[Path, str], Path] | None = None,
    ) -> None:
        self.views = tuple(views)
        self.source = source
        self.pid = pid
        self._plant = plant

    @property
    def directory(self) -> Path:
        """The directory in the first view."""
        return self.views[0]

    def view(self, number: int) -> Path:
        """Return the directory in a view; they repeat where there are fewer."""
        return self.views[number % len(self.views)]

    def plant(self, archive: Path, name: str) -> Path:
        """Put the tree of an archive there, behind the mount's back, and return it as the mount shows it."""
        if self._plant is not None:
            return self._plant(archive, name)
        assert self.source is not None
        extract(archive, self.source / name)
        return self.directory / name


def extract(archive: Path, directory: Path) -> None:
    """Make a directory and extract an archive into it.

    Raises:
        Failed: tar did not succeed.
    """
    directory.mkdir()
    # times and modes are set, the owner is not: what most extractions do
    command = ["tar", "--no-same-owner", "-xf", str(archive), "-C", str(directory)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        first = done.stderr.decode(errors="replace").partition("\n")[0]
        raise Failed("tar: " + first.rpartition(": ")[2])
