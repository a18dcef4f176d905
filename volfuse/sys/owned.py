"""Whoever opens a descriptor closes it: one that lives as long as a block."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["owned"]


@contextlib.contextmanager
def owned(fd: int) -> Iterator[int]:
    """Give a descriptor that was just opened, and close it at the end of the block."""
    try:
        yield fd
    finally:
        os.close(fd)
