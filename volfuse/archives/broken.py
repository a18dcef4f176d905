"""What is wrong with the bytes of an archive, whichever library found it."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator

from volfuse.errors import InvalidSpec

__all__ = ["BrokenArchive", "parsing"]

_PARSING_ERRORS = (tarfile.TarError, ValueError, OverflowError, IndexError, RecursionError)
"""What `tarfile` raises at what it did not expect."""


class BrokenArchive(InvalidSpec):
    """An archive that cannot be read.

    Attributes:
        problem: what is wrong, for a caller who can name the entry.
    """

    def __init__(self, problem: object) -> None:
        super().__init__(f"invalid archive: {problem}")
        self.problem = str(problem)


@contextlib.contextmanager
def parsing() -> Iterator[None]:
    """Turn the errors of `tarfile` into `BrokenArchive`; those of the system and of volfuse pass."""
    try:
        yield
    except _PARSING_ERRORS as exc:
        raise BrokenArchive(exc) from exc
