"""What every transport is, and which errno an exception becomes."""

from __future__ import annotations

import errno
import logging
import threading
from typing import Final, Protocol

from volfuse.core.datapath import DataPath
from volfuse.core.feed import Through
from volfuse.errors import Conflict, Forbidden, InvalidSpec, NotFound, Unavailable, Unsupported, VolfuseError
from volfuse.fs.view import Mount, View

__all__ = ["SETTLE_S", "Failures", "Transport", "errno_of"]

_log = logging.getLogger(__name__)

SETTLE_S: Final = 1.0
"""How long `settle` waits for changes. For one whose source hangs, which has not been done yet, it waits only once."""

_KINDS: tuple[tuple[type[VolfuseError], int], ...] = (
    (NotFound, errno.ENOENT),
    (Conflict, errno.EBUSY),
    (Forbidden, errno.EPERM),
    (InvalidSpec, errno.EINVAL),
    (Unsupported, errno.EOPNOTSUPP),
    (Unavailable, errno.EIO),
)


class Transport(Protocol):
    """Serves a `ViewTable` on a directory.

    Attributes:
        name: as in `--transport`.
        reason: why this one, for `doctor` and the log.
    """

    name: str
    reason: str

    def start(self, mountpoint: bytes) -> None:
        """Mount, and return when requests are answered.

        Raises:
            Unavailable: it cannot be mounted here.
        """
        ...

    def data_path(self, view: View, mount: Mount) -> DataPath:
        """Say how the contents of a mount's files travel, and why."""
        ...

    def strict_because(self, view: View, mount: Mount) -> str:
        """Say why a mount is strict although leases were chosen; empty if it is not, as far as that is known."""
        ...

    def settle(self) -> None:
        """Return when the changes that are under way now have been published, or hang."""
        ...

    def writers(self) -> dict[tuple[bytes, bytes], list[Through]]:
        """Return what views have open for writing in shared sources: by directory (identity) and name, through what."""
        ...

    def stop(self) -> None:
        """Unmount, if need be while it is in use, and close every handle. May be called again, and without `start`."""
        ...


class Failures:
    """Unknown exceptions at the edge: each place is logged once with its traceback, all are counted."""

    def __init__(self) -> None:
        self.count = 0  # guarded by self._lock
        self._seen: set[tuple[str, str, int]] = set()  # guarded by self._lock
        self._lock = threading.Lock()

    def errno_of(self, operation: str, exc: Exception) -> int:
        """Return the errno to answer `exc` with."""
        number = errno_of(exc)
        return number if number is not None else self._unknown(operation, exc)

    def _unknown(self, operation: str, exc: Exception) -> int:
        trace = exc.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = (operation, type(exc).__name__, trace.tb_lineno if trace else 0)
        with self._lock:
            self.count += 1
            new = where not in self._seen
            self._seen.add(where)
        if new:
            _log.error("%s failed unexpectedly, answered EIO", operation, exc_info=exc)
        return errno.EIO


def errno_of(exc: BaseException) -> int | None:
    """Return the errno that stands for an expected exception, None for an unknown one."""
    if isinstance(exc, OSError):
        return exc.errno or errno.EIO
    return next((number for kind, number in _KINDS if isinstance(exc, kind)), None)
