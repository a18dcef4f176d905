"""The kernel transport: all views on one mount that speaks /dev/fuse itself."""

from __future__ import annotations

import errno
import logging
import os
import resource
from dataclasses import dataclass
from typing import Final

from volfuse.core.datapath import DataPath, DataRoute
from volfuse.core.feed import Through
from volfuse.errors import Unavailable
from volfuse.fs.view import Mount, View
from volfuse.fs.viewtable import ViewTable
from volfuse.fs.watching import SourceWatcher
from volfuse.transport.base import SETTLE_S, Failures
from volfuse.transport.kernel import mounting
from volfuse.transport.kernel.elsewhere import Elsewhere
from volfuse.transport.kernel.handles import Handles
from volfuse.transport.kernel.initialise import initialise
from volfuse.transport.kernel.locks import Locks
from volfuse.transport.kernel.negotiation import Agreement
from volfuse.transport.kernel.operations import table as handlers_of
from volfuse.transport.kernel.operations.attributes import Attributes
from volfuse.transport.kernel.operations.data import Data
from volfuse.transport.kernel.operations.directories import Directories
from volfuse.transport.kernel.operations.files import Files
from volfuse.transport.kernel.operations.locking import Locking
from volfuse.transport.kernel.operations.lookups import Lookups
from volfuse.transport.kernel.operations.names import Names
from volfuse.transport.kernel.operations.others import Others
from volfuse.transport.kernel.operations.xattrs import Xattrs
from volfuse.transport.kernel.passthrough import NOT_AGREED, REASONS, Passthrough
from volfuse.transport.kernel.replay.replayer import Replayer
from volfuse.transport.kernel.server import Server
from volfuse.transport.kernel.session import Session
from volfuse.transport.kernel.undo import Undo
from volfuse.transport.kernel.viewstates import ViewStates
from volfuse.transport.kernel.wire.flags import Init
from volfuse.transport.kernel.wire.opcodes import NOTIFY_NEEDS_MINOR, Notify
from volfuse.transport.stalemounts import take_over

__all__ = ["KernelTransport"]

_log = logging.getLogger(__name__)

_STOP_DEADLINE_S: Final = 10.0
_OPEN_DIRECTORIES: Final = 256
_IDLE_FILES: Final = 64
_CAN_LEASE: Final = Init.HAS_EXPIRE_ONLY | Init.AUTO_INVAL_DATA
_CANNOT_LEASE: Final = "the kernel cannot be told to ask for a name again (Linux 6.2)"


@dataclass(frozen=True, slots=True)
class Running:
    """What one mount needs while it lasts."""

    fd: int
    connection: int
    session: Session
    server: Server
    elsewhere: Elsewhere
    handles: Handles
    locks: Locks
    failures: Failures
    agreed: Agreement


class KernelTransport:
    """Serves a table of views on /dev/fuse.

    Args:
        watcher: hears sources, so that watchers in views can be told; None leaves that.
        lease_watcher: hears sources, as soon as can be and whoever did it; without one nothing is leased.
        passthrough: false leaves reads and writes to the daemon, as where privilege or kernel are missing.
    """

    name = "kernel"

    def __init__(
        self,
        table: ViewTable,
        reason: str = "",
        *,
        passthrough: bool = True,
        watcher: SourceWatcher | None = None,
        lease_watcher: SourceWatcher | None = None,
    ) -> None:
        self.reason = reason
        self.watcher = watcher
        self._table = table
        self._lease_watcher = lease_watcher
        self._passthrough = passthrough
        self._mountpoint = b""
        self._running: Running | None = None
        self._replayer: Replayer | None = None

    @staticmethod
    def available() -> tuple[bool, str]:
        """Say whether this can serve here, and why not."""
        problem = mounting.device_problem()
        return not problem, problem or "/dev/fuse can be served directly"

    @property
    def operations(self) -> Running:
        """What answers while it is mounted; for counters."""
        if self._running is None:
            raise Unavailable("the kernel transport is not mounted")
        return self._running

    def refusals(self) -> dict[str, str]:
        """Return why files are not passed through, by mount label; for `doctor` and `views`."""
        running = self._running
        if running is None:
            return {}
        if not running.agreed.passthrough:
            return {"*": self._no_passthrough()}
        return {state.mount.label: state.refused for state in running.server.views.all() if state.refused}

    def data_path(self, view: View, mount: Mount) -> DataPath:
        """Say how files of a mount are read and written: refusals are known from the first open on."""
        running = self._running
        if running is None or not running.agreed.passthrough:
            reason = self._no_passthrough()
        else:
            state = running.server.views.known(view, mount)
            reason = state.refused if state is not None else ""
        if not reason:
            return DataPath(DataRoute.PASSTHROUGH)
        return DataPath.through_daemon(private=mount.private, reason=reason)

    def strict_because(self, view: View, mount: Mount) -> str:
        """Say why a mount is strict although leases were chosen: known once it is used."""
        running = self._running
        state = running.server.views.known(view, mount) if running is not None else None
        return state.strict_because if state is not None else ""

    def settle(self) -> None:
        """Return when the changes that are under way now have been published, or hang."""
        if self._running is not None:
            self._running.session.settle(SETTLE_S)

    def writers(self) -> dict[tuple[bytes, bytes], list[Through]]:
        """Return what views have open for writing in shared sources: by directory (identity) and name, through what."""
        return self._running.server.writers.places(self._running.handles) if self._running is not None else {}

    def start(self, mountpoint: bytes) -> None:
        """Mount on an existing directory and answer requests.

        Raises:
            Conflict: something else is mounted there.
            Unavailable: it cannot be mounted here, or the kernel is too old.
        """
        path = os.path.realpath(mountpoint)
        take_over(path)
        fd = mounting.open_mounted(path)
        try:
            agreed = initialise(fd, passthrough=self._passthrough and os.geteuid() == 0)
            self._running = self.compose(fd, mounting.connection_of(path), agreed)
        except BaseException:
            mounting.unmount(path)
            os.close(fd)
            raise
        self._mountpoint = path
        self._running.session.start()
        if self.watcher is not None:
            self._replayer = Replayer(self._running.server, self._running.connection, path, self.watcher)
            self._replayer.start()
        self._table.subscribe(self._running.elsewhere)

    def stop(self) -> None:
        """Unmount, detaching the mount if it is in use, and close every handle."""
        running = self._running
        if running is None:
            return
        self._table.unsubscribe(running.elsewhere)
        if self._replayer is not None:
            self._replayer.close()
            self._replayer = None
        if not running.session.done.is_set():
            mounting.unmount(self._mountpoint)
        if not running.session.done.wait(_STOP_DEADLINE_S / 10):
            mounting.abort(running.connection)
        running.locks.close()
        running.server.leasing.close()
        if not running.session.join(_STOP_DEADLINE_S):
            _log.error("kernel transport: requests are still under way after %.0f s, left behind", _STOP_DEADLINE_S)
            return
        self._running = None
        left = running.handles.close_all()
        running.server.nodes.clear()
        running.server.directories.close_all()
        os.close(running.fd)
        if left:
            _log.info("kernel transport: closed %d handles that were open at unmount", left)

    def _no_passthrough(self) -> str:
        if not self._passthrough:
            return "switched off"
        return REASONS[errno.EPERM] if os.geteuid() != 0 else NOT_AGREED

    def compose(self, fd: int, connection: int, agreed: Agreement) -> Running:
        """Make what answers on a device that speaks as agreed."""
        failures = Failures()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        handles = Handles(Passthrough(fd, agreed.passthrough), min(_IDLE_FILES, soft // 16))
        views = ViewStates(self._table)
        open_limit = min(_OPEN_DIRECTORIES, max(soft // 4, 16))
        no_leases = "" if _CAN_LEASE in agreed.flags else _CANNOT_LEASE
        server = Server(views, handles, open_limit, self._lease_watcher, no_leases)
        server.leasing.prunes = agreed.minor >= NOTIFY_NEEDS_MINOR[Notify.PRUNE]
        # The locks answer through the session, the session answers with operations that need the locks.
        locks = Locks(lambda reply: server.session.send(reply), failures)
        themes = (
            Lookups(server),
            Attributes(server, handles),
            Names(server),
            Files(server, handles, locks),
            Data(handles, server.writers),
            Directories(server, handles),
            Xattrs(server, extended=Init.SETXATTR_EXT in agreed.flags),
            Locking(handles, locks, lambda unique: server.session.interrupt(unique)),
            Others(server, handles),
        )
        handlers = handlers_of(*(theme.handlers() for theme in themes))
        server.session = server.leasing.session = session = Session(
            fd, handlers, Undo(server, handles), server.tidy, failures
        )
        return Running(fd, connection, session, server, Elsewhere(server), handles, locks, failures, agreed)
