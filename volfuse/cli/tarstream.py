"""Archives that are made and unpacked as they flow, for `cp`."""

from __future__ import annotations

import os
import stat
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from volfuse.cli.failure import CommandFailed
from volfuse.cli.jsontypes import Json

__all__ = ["packed", "unpack"]


@contextmanager
def packed(directory: str, entry: str, name: str) -> Iterator[IO[bytes]]:
    """Give a stream of an archive of one entry of a directory.

    A thread packs into a pipe while the stream is read; it is over when the block is left.

    Args:
        directory: absolute path.
        entry: below it; `.` for its content.
        name: of the entry in the archive.
    """
    read_fd, write_fd = os.pipe()
    failures: list[BaseException] = []

    def pack() -> None:
        try:
            with (
                os.fdopen(write_fd, "wb") as sink,
                tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar,
            ):
                tar.add(os.path.join(directory, entry), arcname=name, filter=_anonymous)
        except BrokenPipeError:
            return  # the reader gave up, and says why
        except (OSError, tarfile.TarError) as fault:
            failures.append(fault)

    thread = threading.Thread(target=pack, name="pack")
    thread.start()
    try:
        with os.fdopen(read_fd, "rb") as stream:
            yield stream
    finally:
        thread.join()
    if failures:
        raise failures[0]


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave names of users out: they mean others in the container. Sockets cannot be copied."""
    member.uname = member.gname = ""
    return member


def unpack(stream: Json, directory: str, old: str, new: str | None) -> int:
    """Unpack an archive below a directory; owner is whoever unpacks.

    Nothing is written outside the directory: names with `..` are refused, and no link that lies in a path is followed.

    Args:
        stream: the archive, read once.
        directory: exists.
        old: name of the archive's top entry.
        new: name to give it, None to keep it.

    Returns:
        int: bytes of the files.

    Raises:
        CommandFailed: a name leads out, or a directory and something else are in each other's place.
    """
    total = 0
    times: list[tuple[str, float]] = []
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            member.name = _renamed(member.name, old, new)
            if member.islnk():
                member.linkname = _renamed(member.linkname, old, new)
                _inside(directory, member.linkname)
            target = _inside(directory, member.name)
            if not _prepare(target, member):
                times.append((target, member.mtime))
                continue
            tar.extract(
                member.replace(
                    uid=cast(int, None), gid=cast(int, None), uname=cast(str, None), gname=cast(str, None), deep=False
                ),
                directory,
                filter=_as_it_is,
            )
            total += member.size
            if member.isdir():
                times.append((target, member.mtime))
    for target, modified in reversed(times):
        os.utime(target, (modified, modified))
    return total


def _as_it_is(member: tarfile.TarInfo, _path: str) -> tarfile.TarInfo:
    return member


def _renamed(name: str, old: str, new: str | None) -> str:
    clean = name.strip("/")
    if new is None or old in (".", "/"):
        return f"{new}/{clean.removeprefix('./')}" if new is not None and new != "." else clean
    head, slash, rest = clean.partition("/")
    return f"{new}{slash}{rest}" if head == old else clean


def _inside(directory: str, name: str) -> str:
    """Return the path of an entry whose parents are all directories below `directory`."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise CommandFailed(f"invalid name in archive: {name}")
    path = directory
    for part in parts[:-1]:
        path = os.path.join(path, part)
        if os.path.lexists(path) and not stat.S_ISDIR(os.lstat(path).st_mode):
            raise CommandFailed(f"{path}: not a directory")
    return os.path.join(directory, *parts)


def _prepare(target: str, member: tarfile.TarInfo) -> bool:
    """Make room for an entry; False if it is a directory that is there."""
    try:
        found = os.lstat(target)
    except FileNotFoundError:
        return True
    if stat.S_ISDIR(found.st_mode):
        if member.isdir():
            return False
        raise CommandFailed(f'cannot overwrite directory "{target}" with non-directory "{os.path.dirname(target)}"')
    if member.isdir():
        raise CommandFailed(f'cannot overwrite non-directory "{target}" with directory "{os.path.dirname(target)}"')
    os.unlink(target)
    return True
