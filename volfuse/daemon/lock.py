"""One daemon for each state root: a lock on `ROOT/lock`, which says who holds it.

The kernel drops the lock with the process, however that ends, so it is never stale.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from volfuse.errors import Unavailable
from volfuse.sys.owned import owned

__all__ = ["RootInUse", "lock_root"]


class RootInUse(Unavailable):
    """Another daemon owns the state root."""


@contextmanager
def lock_root(root: Path) -> Iterator[None]:
    """Own a state root, an existing directory, during the block.

    Raises:
        RootInUse: another daemon does; the text says its process id.
    """
    with owned(os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)) as fd:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise RootInUse(f"state root {root} is in use by the daemon with process id {holder}") from exc
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        yield
