"""The state root: where things lie, and changes that are whole or not at all.

A change builds what is new below `staging/`, then commits rows and the moves of directories that are owed in one
transaction, then does the moves. `recover` does what a killed daemon still owed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from volfuse.core.ids import ContainerId, ImageId, VolumeName
from volfuse.core.ports import Ids
from volfuse.engine.ports import Move, MoveKind, Store, Transaction
from volfuse.errors import Conflict
from volfuse.fs.metadata import copy_metadata
from volfuse.fs.removetree import remove_tree
from volfuse.sys.owned import owned

__all__ = ["Change", "StateRoot"]

_log = logging.getLogger(__name__)

_PRIVATE = 0o700
_PASSAGE = 0o711


class Change:
    """One transaction and the directories that move with it."""

    def __init__(self, root: StateRoot, rows: Transaction) -> None:
        self.rows = rows
        self._root = root
        self.moves: list[Move] = []
        self.discarded: list[Path] = []

    def _owe(self, kind: MoveKind, source: Path, target: Path) -> None:
        move = Move(kind, str(source.relative_to(self._root.path)), str(target.relative_to(self._root.path)))
        self.rows.owe(move)
        self.moves.append(move)

    def place(self, staged: Path, target: Path) -> None:
        """Put what was built at `staged` where it belongs.

        Raises:
            Conflict: something is there that the state does not know.
        """
        if os.path.lexists(target):
            raise Conflict(f"{target} is in the way: volfuse did not make it; move it away or delete it")
        self._owe(MoveKind.RENAME, staged, target)

    def merge(self, staged: Path, target: Path) -> None:
        """Put the entries of the directory `staged` into the directory `target`, with its metadata."""
        self._owe(MoveKind.MERGE, staged, target)

    def discard(self, target: Path) -> None:
        """Delete a directory of the state, by way of staging."""
        grave = self._root.staging / self._root.ids.new_id()
        self._owe(MoveKind.RENAME, target, grave)
        self.discarded.append(grave)


class StateRoot:
    """Paths below the state root, and the one way to change what lies there.

    Lock order: locks of names (`engine.locks`) before `_writer`, `_writer` before the store's own.
    """

    def __init__(self, path: Path, store: Store, ids: Ids) -> None:
        self.path = path
        self.store = store
        self.ids = ids
        self.volumes = path / "volumes"
        self.images = path / "images"
        self.containers = path / "containers"
        self.staging = path / "staging"
        self._writer = threading.Lock()  # held from the beginning of a transaction until its moves are done

    def volume_dir(self, name: VolumeName) -> Path:
        """Return the folder of a volume."""
        return self.volumes / name

    def volume_data(self, name: VolumeName) -> Path:
        """Return the source directory of a volume."""
        return self.volumes / name / "_data"

    def image_dir(self, image: ImageId) -> Path:
        """Return the folder of an image."""
        return self.images / image.removeprefix("sha256:")

    def image_rootfs(self, image: ImageId) -> Path:
        """Return the unpacked tree of an image."""
        return self.image_dir(image) / "rootfs"

    def container_dir(self, container: ContainerId) -> Path:
        """Return the folder of a container."""
        return self.containers / container

    def prepare(self) -> None:
        """Make the directories of the state root, where they are missing."""
        self.path.mkdir(mode=_PASSAGE, parents=True, exist_ok=True)
        for directory, mode in (
            (self.volumes, _PASSAGE),
            (self.images, _PRIVATE),
            (self.containers, _PRIVATE),
            (self.staging, _PRIVATE),
        ):
            directory.mkdir(mode=mode, exist_ok=True)
            directory.chmod(mode)

    def recover(self) -> None:
        """Do the moves that a killed daemon still owed, and empty staging."""
        owed = self.store.owed()
        if owed:
            _log.info("finishing %d moves that the last run left", len(owed))
        self._settle(owed)
        for entry in os.scandir(self.staging):
            self._remove(Path(entry.path))

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Give a fresh directory below staging; what is left in it at the end is deleted."""
        directory = self.staging / self.ids.new_id()
        directory.mkdir(mode=_PRIVATE)
        try:
            yield directory
        finally:
            self._remove(directory)

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Begin a change: committed at the end of the block; an exception leaves everything as it was."""
        with self._writer:
            with self.store.transaction() as rows:
                change = Change(self, rows)
                yield change
            self._settle(change.moves)
        for grave in change.discarded:
            self._remove(grave)

    def _settle(self, moves: list[Move]) -> None:
        for move in moves:
            source, target = self.path / move.source, self.path / move.target
            match move.kind:
                case MoveKind.RENAME:
                    with contextlib.suppress(FileNotFoundError):  # done before a kill
                        source.rename(target)
                case MoveKind.MERGE:
                    _merge(source, target)
        if moves:
            self.store.settle(moves)

    @staticmethod
    def _remove(path: Path) -> None:
        with owned(os.open(path.parent, os.O_PATH | os.O_DIRECTORY)) as parent:
            try:
                remove_tree(parent, os.fsencode(path.name))
            except OSError:
                _log.exception("cannot delete %s; the next start tries again", path)


def _merge(source: Path, target: Path) -> None:
    """Move the entries of `source` into `target`; whatever has come there meanwhile stays.

    May be repeated after a kill: the metadata follow the entries, and `source` goes last.
    """
    if not source.exists():
        return
    with (
        owned(os.open(source, os.O_RDONLY | os.O_DIRECTORY)) as source_fd,
        owned(os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)) as target_fd,
    ):
        present = set(os.listdir(target_fd))
        for name in os.listdir(source_fd):
            if name not in present:
                os.rename(name, name, src_dir_fd=source_fd, dst_dir_fd=target_fd)
        copy_metadata(source_fd, target_fd)
    shutil.rmtree(source)
