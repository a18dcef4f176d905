"""Where `docker cp` puts things.

A trailing separator says "this is a directory", a trailing `/.` says "its content". The rules are those of moby's
pkg/archive/copy.go and docker/cli's cp command.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass

from volfuse.cli.failure import CommandFailed

__all__ = [
    "Endpoint",
    "Place",
    "Plan",
    "asserts_directory",
    "local_source",
    "plan_copy",
    "resolve_local",
    "split_entry",
]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One side on the command line: a path in a container, or here if `container` is empty."""

    container: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Split `CONTAINER:PATH`; an absolute path and one that begins with a dot are local."""
        container, colon, path = text.partition(":")
        if text.startswith("/") or not colon or container.startswith("."):
            return cls("", text)
        return cls(container, path)


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of one side's path.

    Attributes:
        path: with its trailing separator or dot.
        exists: something is there.
        is_directory: and it is a directory.
        rebase: name to use for the source instead of its own, if a link was followed.
    """

    path: str
    exists: bool = True
    is_directory: bool = False
    rebase: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to unpack: in which directory, and the new name of the archive's top entry (None: keep `old`)."""

    directory: str
    old: str
    new: str | None


def split_entry(path: str) -> tuple[str, str]:
    """Split a path into directory and last entry; the entry is `.` where the path ends so."""
    clean = posixpath.normpath(path)
    if _says_content(path):
        return clean, "."
    return posixpath.dirname(clean), posixpath.basename(clean) or "/"


def asserts_directory(path: str) -> bool:
    """Tell whether the path itself says that it is a directory."""
    return path.endswith("/") or _says_content(path)


def _says_content(path: str) -> bool:
    return posixpath.basename(path) == "."


def resolve_local(path: str) -> str:
    """Make a local path absolute and keep its ending."""
    return _with_ending(os.path.abspath(path), path)


def _with_ending(clean: str, path: str) -> str:
    if _says_content(path) and not _says_content(clean):
        return f"{clean.rstrip('/')}/."
    if path.endswith("/") and not clean.endswith("/"):
        return f"{clean}/"
    return clean


def rebased(path: str, target: str) -> tuple[str, str]:
    """Return the target of a link with the ending of the path, and the link's name if that differs."""
    resolved = _with_ending(target, path)
    own = posixpath.basename(path.rstrip("/"))
    return resolved, own if own != posixpath.basename(resolved.rstrip("/")) else ""


def local_source(path: str, *, follow: bool) -> Place:
    """Look at a local source; only its directory's links are followed, unless `follow`.

    Raises:
        CommandFailed: it is not there.
    """
    try:
        if follow:
            resolved, rebase = rebased(path, os.path.realpath(path, strict=True))
        else:
            directory, base = posixpath.split(path.rstrip("/") if path != "/" else path)
            resolved = _with_ending(posixpath.join(os.path.realpath(directory, strict=True), base), path)
            rebase = ""
        found = os.stat(resolved) if asserts_directory(resolved) else os.lstat(resolved)
    except OSError as fault:
        raise CommandFailed(f"lstat {path.rstrip('/')}: {(fault.strerror or '').lower()}") from fault
    return Place(resolved, True, _is_directory(found.st_mode), rebase)


def _is_directory(mode: int) -> bool:
    return mode & 0o170000 == 0o040000


def plan_copy(source: Place, destination: Place) -> Plan:
    """Decide where an archive of the source is unpacked, and under which name.

    Raises:
        CommandFailed: a directory onto a file, or into a directory that is not there.
    """
    directory, base = split_entry(destination.path)
    old = split_entry(source.path)[1]
    if destination.exists and destination.is_directory:
        return Plan(destination.path, old, source.rebase or None)
    if destination.exists and source.is_directory:
        raise CommandFailed("cannot copy directory")
    if not destination.exists and not source.is_directory and asserts_directory(destination.path):
        raise CommandFailed("no such directory")
    return Plan(directory, old, base)
