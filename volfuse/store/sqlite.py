"""The state store on SQLite.

Bodies are JSON documents of the values in `core.model`; what must be unique or refers to something has columns of its
own, so that the database itself refuses a state that cannot be: a container without its image, a mount without its
volume, two containers of one name. One connection, guarded by a lock; WAL, so that a kill leaves the last commit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from volfuse.core.ids import ContainerId, ImageId, VolumeName
from volfuse.core.model import Container, Image, Network, Volume
from volfuse.engine.ports import BoundMount, Move, MoveKind
from volfuse.errors import Conflict, Unavailable

__all__ = ["SqliteStore"]

_MIGRATIONS: Final = (
    """
    CREATE TABLE images (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE tags (reference TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images (id)) STRICT;
    CREATE TABLE volumes (name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE containers (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        image TEXT NOT NULL REFERENCES images (id),
        body TEXT NOT NULL
    ) STRICT;
    CREATE TABLE mounts (
        container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
        volume TEXT NOT NULL REFERENCES volumes (name),
        PRIMARY KEY (container, volume)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX mounts_by_volume ON mounts (volume);
    CREATE TABLE bound (
        directory TEXT PRIMARY KEY,
        container TEXT REFERENCES containers (id) ON DELETE CASCADE,
        read_only INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL
    ) STRICT;
    """,
    "CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL) STRICT;",
)
"""Scripts that lift the schema by one version each; `PRAGMA user_version` says how many have run."""

_T = TypeVar("_T", Image, Volume, Container, Network)


class SqliteStore:
    """Implements `engine.ports.Store`."""

    def __init__(self, path: Path) -> None:
        """Open or create the database and bring its schema up to date.

        Raises:
            Unavailable: the file is no database, or of a newer version.
        """
        self._path = path
        self._lock = threading.RLock()  # one thread at a time on the connection
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._migrate(path)
        except sqlite3.DatabaseError as exc:
            self._db.close()
            raise Unavailable(f"open state {path}: {exc}") from exc
        except BaseException:
            self._db.close()
            raise

    def _migrate(self, path: Path) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise Unavailable(
                f"open state {path}: its schema is version {version}, this volfuse knows {len(_MIGRATIONS)}: "
                "use the volfuse that wrote it, or a newer one"
            )
        for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
            self._db.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[_Transaction]:
        """Begin a transaction: committed at the end of the block, rolled back by an exception.

        Raises:
            Unavailable: the database cannot be written, for instance since the disk is full.
        """
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield _Transaction(self._db)
                self._db.execute("COMMIT")
            except BaseException as exc:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(exc, sqlite3.OperationalError):
                    raise Unavailable(f"write state {self._path}: {exc}") from exc
                raise

    def _bodies(self, kind: type[_T], query: str, *values: object) -> list[_T]:
        with self._lock:
            rows = self._db.execute(query, values).fetchall()
        return [msgspec.json.decode(body, type=kind) for (body,) in rows]

    def _body(self, kind: type[_T], query: str, *values: object) -> _T | None:
        return next(iter(self._bodies(kind, query, *values)), None)

    def images(self) -> list[Image]:
        """Return all images, in no order."""
        return self._bodies(Image, "SELECT body FROM images")

    def image(self, image: ImageId) -> Image | None:
        """Return an image by its full id."""
        return self._body(Image, "SELECT body FROM images WHERE id = ?", image)

    def tags(self) -> dict[str, ImageId]:
        """Return all tags, by their reference."""
        with self._lock:
            return dict(self._db.execute("SELECT reference, image FROM tags ORDER BY reference").fetchall())

    def volumes(self) -> list[Volume]:
        """Return all volumes by name."""
        return self._bodies(Volume, "SELECT body FROM volumes ORDER BY name")

    def volume(self, name: VolumeName) -> Volume | None:
        """Return a volume by its name."""
        return self._body(Volume, "SELECT body FROM volumes WHERE name = ?", name)

    def users(self, name: VolumeName) -> list[ContainerId]:
        """Return the containers that refer to a volume, oldest first."""
        query = "SELECT id FROM mounts JOIN containers ON container = id WHERE volume = ? ORDER BY serial"
        with self._lock:
            return [container for (container,) in self._db.execute(query, (name,))]

    def containers(self) -> list[Container]:
        """Return all containers, oldest first."""
        return self._bodies(Container, "SELECT body FROM containers ORDER BY serial")

    def container(self, container: ContainerId) -> Container | None:
        """Return a container by its full id."""
        return self._body(Container, "SELECT body FROM containers WHERE id = ?", container)

    def container_named(self, name: str) -> Container | None:
        """Return a container by its name (without a slash)."""
        return self._body(Container, "SELECT body FROM containers WHERE name = ?", name)

    def containers_by_prefix(self, prefix: str) -> list[Container]:
        """Return at most two containers whose id begins so."""
        query = "SELECT body FROM containers WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2"
        return self._bodies(Container, query, prefix)

    def networks(self) -> list[Network]:
        """Return all networks by name."""
        return self._bodies(Network, "SELECT body FROM networks ORDER BY name")

    def bound(self) -> list[BoundMount]:
        """Return what is mounted outside of the directory of views."""
        with self._lock:
            rows = self._db.execute("SELECT directory, container, read_only FROM bound ORDER BY directory").fetchall()
        return [BoundMount(directory, container, bool(read_only)) for directory, container, read_only in rows]

    def owed(self) -> list[Move]:
        """Return the journalled moves in the order in which they were owed."""
        with self._lock:
            rows = self._db.execute("SELECT kind, source, target FROM journal ORDER BY seq").fetchall()
        return [Move(MoveKind(kind), source, target) for kind, source, target in rows]

    def settle(self, moves: Sequence[Move]) -> None:
        """Strike done moves off the journal."""
        with self.transaction() as tx:
            tx.settle(moves)


class _Transaction:
    """Implements `engine.ports.Transaction`; lives inside `SqliteStore.transaction`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def _run(self, query: str, *values: object) -> None:
        self._db.execute(query, values)

    def next_serial(self) -> int:
        """Return a number that no container has had (AUTOINCREMENT keeps the highest ever used)."""
        query = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'containers'), 0) + 1"
        with closing(self._db.execute(query)) as cursor:
            serial: int = cursor.fetchone()[0]
        return serial

    def put_image(self, image: Image) -> None:
        """Insert or replace an image."""
        query = "INSERT INTO images VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        self._run(query, image.id, _encode(image))

    def delete_image(self, image: ImageId) -> None:
        """Delete an image and its tags; containers of it make this fail."""
        self._run("DELETE FROM tags WHERE image = ?", image)
        self._run("DELETE FROM images WHERE id = ?", image)

    def put_tag(self, reference: str, image: ImageId) -> None:
        """Point a tag at an image."""
        query = "INSERT INTO tags VALUES (?, ?) ON CONFLICT (reference) DO UPDATE SET image = excluded.image"
        self._run(query, reference, image)

    def delete_tag(self, reference: str) -> None:
        """Delete a tag."""
        self._run("DELETE FROM tags WHERE reference = ?", reference)

    def put_volume(self, volume: Volume) -> None:
        """Insert or replace a volume."""
        query = "INSERT INTO volumes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body"
        self._run(query, volume.name, _encode(volume))

    def delete_volume(self, name: VolumeName) -> None:
        """Delete a volume; containers that refer to it make this fail."""
        self._run("DELETE FROM volumes WHERE name = ?", name)

    def put_container(self, container: Container) -> None:
        """Insert or replace a container together with its references.

        Raises:
            Conflict: another container has the name.
        """
        query = (
            "INSERT INTO containers VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body"
        )
        body = _encode(container)
        try:
            self._run(query, container.serial, container.id, container.name, container.image, body)
        except sqlite3.IntegrityError as exc:
            if "containers.name" in str(exc):
                raise Conflict(f'the container name "/{container.name}" is already in use') from exc
            raise
        self._run("DELETE FROM mounts WHERE container = ?", container.id)
        for volume in sorted(container.volumes):
            self._run("INSERT INTO mounts VALUES (?, ?)", container.id, volume)

    def delete_container(self, container: ContainerId) -> None:
        """Delete a container, its references and where its view was bound."""
        self._run("DELETE FROM containers WHERE id = ?", container)

    def put_network(self, network: Network) -> None:
        """Insert or replace a network."""
        query = "INSERT INTO networks VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        self._run(query, network.id, network.name, _encode(network))

    def delete_network(self, network: str) -> None:
        """Delete a network by its id."""
        self._run("DELETE FROM networks WHERE id = ?", network)

    def put_bound(self, bound: BoundMount) -> None:
        """Remember a view's mount at a directory."""
        query = (
            "INSERT INTO bound VALUES (?, ?, ?) ON CONFLICT (directory) DO UPDATE "
            "SET container = excluded.container, read_only = excluded.read_only"
        )
        self._run(query, bound.directory, bound.container, int(bound.read_only))

    def delete_bound(self, directory: str) -> None:
        """Forget the mount at a directory."""
        self._run("DELETE FROM bound WHERE directory = ?", directory)

    def owe(self, move: Move) -> None:
        """Journal a move."""
        query = "INSERT INTO journal (kind, source, target) VALUES (?, ?, ?)"
        self._run(query, move.kind.value, move.source, move.target)

    def settle(self, moves: Sequence[Move]) -> None:
        """Strike done moves off the journal."""
        query = "DELETE FROM journal WHERE (kind, source, target) = (?, ?, ?)"
        self._db.executemany(query, [(move.kind.value, move.source, move.target) for move in moves])


def _encode(value: Image | Volume | Container | Network) -> str:
    return msgspec.json.encode(value).decode()
