"""The portable transport: libfuse 2 by way of fusepy.

It serves where /dev/fuse cannot be opened straight or the kernel is old. libfuse gives every path an inode of its own;
what that costs is listed in docs/fusepy-limits.md. Nothing is cached but data of private files.

libfuse runs in a thread of ours and starts more as requests come. Those threads have umask 0; the rest of the process
keeps its own. Options and why:

- `default_permissions`: the kernel checks rights, by the attributes we give it.
- `allow_other`: programs of any user live in containers. Others than root may say so only if fuse.conf allows it.
- all timeouts 0: a change by another view or the host is seen by the next system call.
- `intr`: a program that is interrupted while it waits for a lock stops waiting.
- `nosuid,nodev` stay, as libfuse sets them: on the host a view must not hand out root or devices. A container's
  own bind mount of its view can lift that where the runner wants it.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
import time

from volfuse.core.datapath import DataPath
from volfuse.core.feed import Through
from volfuse.errors import Unavailable
from volfuse.fs.view import Mount, View
from volfuse.fs.viewtable import ViewTable
from volfuse.sys.mount import MNT_DETACH, umount2
from volfuse.sys.threadfs import own_umask
from volfuse.transport.base import SETTLE_S
from volfuse.transport.fusepy_library import functions, library, mount
from volfuse.transport.fusepy_operations import FusepyOperations
from volfuse.transport.fusermount import unmount_as_user, user_allow_other
from volfuse.transport.stalemounts import take_over

__all__ = ["FusepyTransport"]

_log = logging.getLogger(__name__)

_START_DEADLINE_S = 10.0
_STOP_DEADLINE_S = 10.0
_KICK_INTERVAL_S = 0.02
_WAKE = signal.SIGUSR1
"""What `intr` uses; libfuse gives it an empty handler, so that it only ends system calls."""

_OPTIONS = (
    "fsname=volfuse,subtype=volfuse,default_permissions,use_ino,big_writes,intr,"
    "attr_timeout=0,entry_timeout=0,negative_timeout=0,ac_attr_timeout=0"
)


class FusepyTransport:
    """Serves a table of views through libfuse 2.

    Attributes:
        operations: what answers; for counters.
    """

    name = "fusepy"

    def __init__(self, table: ViewTable, reason: str = "") -> None:
        self.reason = reason
        self.operations = FusepyOperations(table)
        self._table = table
        self._mountpoint = b""
        self._thread: threading.Thread | None = None
        self._session: int | None = None
        self._error: Exception | None = None

    def start(self, mountpoint: bytes) -> None:
        """Mount on an existing directory and wait until requests are answered.

        Raises:
            Conflict: something else is mounted there.
            Unavailable: libfuse cannot mount here; it has said why on stderr.
        """
        self._mountpoint = os.path.realpath(mountpoint)
        take_over(self._mountpoint)
        self._thread = threading.Thread(target=self._serve, name="fuse", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_DEADLINE_S
        while not self.operations.ready.wait(_KICK_INTERVAL_S):
            if self._error is not None:
                self._thread.join()
                raise self._error
            if time.monotonic() > deadline:
                self.stop()
                raise Unavailable(f"mount {os.fsdecode(self._mountpoint)}: the kernel did not answer")
        self.operations.renames.mounted(self._mountpoint)
        self._table.subscribe(self.operations.renames)

    def data_path(self, _view: View, mount: Mount) -> DataPath:
        """Say how files of a mount are read and written: never without the daemon."""
        return DataPath.through_daemon(private=mount.private, reason="the fusepy transport cannot pass files through")

    def strict_because(self, _view: View, _mount: Mount) -> str:
        """Say nothing: all mounts are exact, whatever is chosen."""
        return ""

    def settle(self) -> None:
        """Return when the changes that are under way now have been published, or hang."""
        self.operations.settle(SETTLE_S)

    def writers(self) -> dict[tuple[bytes, bytes], list[Through]]:
        """Return what views have open for writing in shared sources: by directory (identity) and name, through what."""
        return self.operations.feed.writers()

    def stop(self) -> None:
        """Unmount, detaching the mount if it is in use, and close every handle."""
        thread = self._thread
        if thread is None:
            return
        self._table.unsubscribe(self.operations.renames)
        busy = thread.is_alive() and not self._unmount()
        deadline = time.monotonic() + _STOP_DEADLINE_S
        while thread.is_alive() and time.monotonic() < deadline:
            self._kick(busy)
            thread.join(_KICK_INTERVAL_S)
        if thread.is_alive():
            _log.error("fusepy: requests are still under way after %.0f s, left behind", _STOP_DEADLINE_S)
            return
        self._thread = None
        left = self.operations.close_all()
        if left:
            _log.info("fusepy: closed %d handles that were open at unmount", left)

    def _unmount(self) -> bool:
        """Take the mount away; return whether nothing used it any more."""
        if os.geteuid() != 0:
            return unmount_as_user(self._mountpoint) or not unmount_as_user(self._mountpoint, lazy=True)
        try:
            umount2(self._mountpoint)
        except OSError as exc:
            if exc.errno == errno.EINVAL:  # somebody else unmounted it
                return True
            umount2(self._mountpoint, MNT_DETACH)
            return False
        return True

    def _kick(self, busy: bool) -> None:
        """End waits for locks; if the mount is still in use, end the session too, and its users get ENOTCONN."""
        thread = self._thread
        if thread is None or self._session is None:
            return
        for ident in list(self.operations.locks.waiting):
            signal.pthread_kill(ident, _WAKE)
        if busy and thread.ident is not None:
            library.fuse_exit(self._session)
            signal.pthread_kill(thread.ident, _WAKE)

    def _serve(self) -> None:
        try:
            own_umask(0)
            self._run()
        except Exception as exc:  # noqa: BLE001 (the thread's edge: `start` raises it)
            self._error = exc

    def _run(self) -> None:
        operations, kept = functions(self.operations.callbacks())
        operations.flag_nullpath_ok = 1
        operations.flag_nopath = 1
        operations.flag_utime_omit_ok = 1
        session = mount(self._mountpoint, _options(), operations)
        if session is None:
            raise Unavailable(f"mount {os.fsdecode(self._mountpoint)}: libfuse cannot mount here")
        self._session = session
        library.fuse_loop_mt(session)
        self._session = None
        library.fuse_destroy(session)
        del kept


def _options() -> str:
    return _OPTIONS + ",allow_other" if os.geteuid() == 0 or user_allow_other() else _OPTIONS
