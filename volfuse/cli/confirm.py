"""Asking before something is deleted, and saying what was."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from volfuse.cli.humanize import size

__all__ = ["agreed", "reclaimed"]


def agreed(warning: str, force: bool) -> bool:
    """Ask on stdin unless forced; no answer means no."""
    if force:
        return True
    sys.stdout.write(f"{warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() == "y"


def reclaimed(title: str, names: Iterable[str] | None, space_bytes: int) -> str:
    """Return the report of a prune."""
    found = list(names or [])
    listed = f"{title}:\n" + "".join(f"{name}\n" for name in found) + "\n" if found else ""
    return f"{listed}Total reclaimed space: {size(space_bytes)}\n"
