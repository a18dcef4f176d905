"""The outer tar of `docker save` and OCI archives, spooled to files: its parts refer to each other in any order.

Files get numbers for names, so nothing of the archive reaches a path. Links between parts (old `docker save` writes a
shared layer once and links to it) are followed among the names only.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import re
import shutil
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import msgspec

from volfuse.archives.compression import CHUNK_BYTES, Readable
from volfuse.archives.members import Kind
from volfuse.core.links import follow_links
from volfuse.errors import InvalidSpec
from volfuse.images.archive import read_entries, shown, split_name
from volfuse.images.streams import Limits, TarBytes

__all__ = ["Spool"]

_DIGEST = re.compile(r"(?P<algorithm>[a-z0-9]+):(?P<hex>[0-9a-f]{32,})\Z")
_DIGEST_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})
"""Algorithms of the OCI image spec (descriptor.md) and of Docker's references."""
_Path = tuple[bytes, ...]
T = TypeVar("T")


class Spool:
    """The parts of one archive, by their names."""

    def __init__(self, stream: Readable, directory: Path, limits: Limits) -> None:
        """Read the archive to its end.

        Args:
            directory: where the parts go; it exists, and the caller removes it.

        Raises:
            InvalidSpec: it is no tar, or a hostile one.
        """
        self._directory = directory
        self._limits = limits
        self._files: dict[_Path, Path] = {}
        self._links: dict[_Path, bytes] = {}
        self._verified: set[str] = set()
        self._read(TarBytes(stream, limits))

    def _read(self, tar: TarBytes) -> None:
        for entry in read_entries(tar):
            if entry.kind in (Kind.SYMLINK, Kind.HARD_LINK, Kind.FILE) and entry.path in self:
                raise InvalidSpec(f"invalid archive: entry {entry.name} is there twice")
            match entry.kind:
                case Kind.FILE:
                    path = self._directory / str(len(self._files))
                    with path.open("xb") as file:
                        shutil.copyfileobj(cast(BinaryIO, entry.member.content), file, CHUNK_BYTES)
                    self._files[entry.path] = path
                case Kind.SYMLINK:
                    self._links[entry.path] = entry.member.link
                case Kind.HARD_LINK:
                    self._links[entry.path] = b"/" + b"/".join(split_name(entry.member.link))
                case _:  # nothing refers to it
                    pass
            if len(self._files) + len(self._links) > self._limits.entries:
                raise InvalidSpec(f"archive is too large: more than {self._limits.entries} entries")
        tar.finish()

    def __contains__(self, name: object) -> bool:
        """Whether there is such a part; by components."""
        return name in self._files or name in self._links

    def has(self, name: str) -> bool:
        """Tell whether there is a part of this name."""
        return split_name(os.fsencode(name)) in self

    def open(self, name: str) -> io.BufferedReader:
        """Open a part.

        Raises:
            InvalidSpec: the archive has none of this name.
        """
        components = follow_links(b"/" + b"/".join(split_name(os.fsencode(name))), self._links.get)
        path = self._files.get(components)
        if path is None:
            raise InvalidSpec(f"invalid archive: {shown(os.fsencode(name))} is missing")
        return path.open("rb")

    def read(self, name: str) -> bytes:
        """Return a manifest, an index or a config whole."""
        with self.open(name) as file:
            content = file.read(self._limits.json_bytes + 1)
        if len(content) > self._limits.json_bytes:
            raise InvalidSpec(f"invalid archive: {shown(os.fsencode(name))} is too large")
        return content

    def read_json(self, name: str, type_: type[T]) -> T:
        """Return a part decoded as `type_`."""
        return decode(self.read(name), name, type_)

    def open_blob(self, digest: str) -> io.BufferedReader:
        """Open the blob of an OCI layout, after comparing its content with its digest (once).

        Raises:
            InvalidSpec: it is missing, its digest is of an unknown kind or another one.
        """
        found = _DIGEST.match(digest)
        if found is None or found["algorithm"] not in _DIGEST_ALGORITHMS:
            raise InvalidSpec(f"invalid archive: unsupported digest {digest!r}")
        name = f"blobs/{found['algorithm']}/{found['hex']}"
        if digest not in self._verified:
            with self.open(name) as file:
                actual = hashlib.file_digest(file, found["algorithm"]).hexdigest()
            if not hmac.compare_digest(actual, found["hex"]):
                raise InvalidSpec(f"invalid archive: {name} does not have its digest but {actual}")
            self._verified.add(digest)
        return self.open(name)

    def read_blob(self, digest: str) -> bytes:
        """Return a blob whole, as `read` does."""
        self.open_blob(digest).close()
        return self.read("blobs/" + digest.replace(":", "/"))

    def read_json_blob(self, digest: str, type_: type[T]) -> T:
        """Return a blob decoded as `type_`."""
        return decode(self.read_blob(digest), digest, type_)


def decode(content: bytes, name: str, type_: type[T]) -> T:
    """Decode JSON of the archive.

    Raises:
        InvalidSpec: it is no JSON, or of another shape.
    """
    try:
        return msgspec.json.decode(content, type=type_)
    except (msgspec.DecodeError, msgspec.ValidationError) as exc:
        raise InvalidSpec(f"invalid archive: {name}: {exc}") from exc
