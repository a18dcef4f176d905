"""Paths inside containers, as text.

A destination is compared, stored and shown in the form that Go's `path.Clean` gives it; what exists on a disk does not
matter here. Source: Go's package path, moby daemon/volume/mounts/linux_parser.go.
"""

from __future__ import annotations

__all__ = [
    "absolute",
    "bytes_components",
    "clean",
    "clean_bytes",
    "clean_destination",
    "components",
    "depth",
    "is_absolute",
    "is_local",
    "is_root",
]


def clean(path: str) -> str:
    """Return the shortest equal path: no `.`, no empty component, `..` only at the front of a relative path.

    Unlike `posixpath.normpath`, two leading slashes become one. Empty gives `.`.
    """
    rooted = path.startswith("/")
    kept: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            kept.append(part)
        elif kept and kept[-1] != "..":
            kept.pop()
        elif not rooted:
            kept.append(part)
    joined = "/".join(kept)
    return f"/{joined}" if rooted else joined or "."


def clean_bytes(path: bytes) -> bytes:
    """Return `clean` of a path of any bytes."""
    return clean(path.decode("latin-1")).encode("latin-1")


def clean_destination(path: str) -> str:
    """Return a destination as a mount point records it; it stays relative if it was."""
    return clean(path)


def is_absolute(path: str) -> bool:
    """Tell whether a path of a mount spec counts as absolute; a backslash counts as a slash (linux_parser.go)."""
    return path.startswith(("/", "\\"))


def is_root(path: str) -> bool:
    """Tell whether a path of a mount spec means `/`; a backslash counts as a slash (linux_parser.go)."""
    return clean(path.replace("\\", "/")) == "/"


def is_local(path: str) -> bool:
    """Tell whether a relative path stays below where it starts (Go's filepath.IsLocal); empty does not count."""
    return path != "" and not path.startswith("/") and clean(path).split("/")[0] != ".."


def absolute(path: str, cwd: str) -> str:
    """Return a path made absolute against a directory and cleaned (Go's filepath.Abs)."""
    return clean(path if path.startswith("/") else f"{cwd}/{path}")


def components(path: str) -> tuple[str, ...]:
    """Return the names along a path; empty for `/` and `.`."""
    cleaned = clean(path).lstrip("/")
    return () if cleaned in ("", ".") else tuple(cleaned.split("/"))


def bytes_components(path: bytes) -> tuple[bytes, ...]:
    """Return the names along a path of any bytes."""
    return tuple(part.encode("latin-1") for part in components(path.decode("latin-1")))


def depth(destination: str) -> int:
    """Return the number of slashes: mounts come into place in this order, parents first (moby sortMounts)."""
    return clean(destination).count("/")
