"""A progress bar for long uploads; the only place that imports rich, and only on a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

__all__ = ["Metered", "show_progress"]


class Metered:
    """A file that tells how much of it was read."""

    def __init__(self, archive: IO[bytes], advance: Callable[[int], None]) -> None:
        self._archive = archive
        self._advance = advance

    def read(self, count: int = -1) -> bytes:
        """Read, and say so."""
        data = self._archive.read(count)
        self._advance(len(data))
        return data


@contextmanager
def show_progress(archive: IO[bytes], title: str) -> Iterator[Metered]:
    """Show a bar on stderr while a file is read."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    total = os.fstat(archive.fileno()).st_size or None
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield Metered(archive, lambda count: progress.update(task, advance=count))
