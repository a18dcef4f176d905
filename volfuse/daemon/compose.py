"""The composition root: the one place that names the concrete store, trees, transport and engine."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from volfuse.core.coherence import Coherence
from volfuse.core.echoes import Echoes
from volfuse.engine.attribution import Attribution
from volfuse.engine.changefeed import ChangeFeed
from volfuse.engine.engine import Engine
from volfuse.engine.ports import ViewBinder
from volfuse.errors import Unavailable
from volfuse.fs.viewtable import ViewTable
from volfuse.images.builder import ArchiveImageBuilder
from volfuse.images.privatetree import PrivateTrees
from volfuse.runner.cgroups import Cgroups
from volfuse.runner.runner import LauncherRunner, runner_lock
from volfuse.store.sqlite import SqliteStore
from volfuse.transport.base import Transport
from volfuse.transport.binder import BindBinder, RefusingBinder
from volfuse.transport.kernel.transport import KernelTransport
from volfuse.transport.stalemounts import detach_stale
from volfuse.watch.directories import DirectoryWatcher
from volfuse.watch.hosts import Hosts

__all__ = ["TRANSPORTS", "Settings", "compose"]

_log = structlog.get_logger(__name__)

TRANSPORTS = ("auto", "kernel", "fusepy")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the daemon was told; all paths are absolute."""

    root: Path
    socket: str
    views: Path
    transport: str
    coherence: Coherence


class SystemClock:
    """The wall clock of the system."""

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch."""
        return time.time_ns()


class RandomIds:
    """Identifiers from the system's random numbers."""

    def new_id(self) -> str:
        """Return 64 random lowercase hex digits."""
        return secrets.token_hex(32)


@contextmanager
def compose(settings: Settings) -> Iterator[Engine]:
    """Put the daemon's parts together on a locked state root, serve the views, and take all down at the end.

    Raises:
        Unavailable: no transport works here, or the database cannot be used.
    """
    with ExitStack() as stack:
        detach_stale(os.fsencode(settings.views))
        lock_fd = stack.enter_context(runner_lock(settings.root / "runner.lock"))
        store = SqliteStore(settings.root / "state.db")
        stack.callback(store.close)
        table = ViewTable(os.stat(settings.root).st_dev)
        # Leases need not know who did something, and must not wait for who finds that out.
        leases = stack.enter_context(DirectoryWatcher(at_once=True))
        transport, binder = _transport(settings, table, leases)
        cgroups = Cgroups.find()
        cgroups.sweep(container.id for container in store.containers())
        runner = LauncherRunner(lock_fd, cgroups)
        feed = ChangeFeed(table, secrets.token_hex(6))
        engine = Engine.open(
            settings.root,
            store=store,
            builder=ArchiveImageBuilder(),
            trees=_private_trees(settings.root),
            table=table,
            feed=feed,
            binder=binder,
            views_directory=settings.views,
            clock=SystemClock(),
            ids=RandomIds(),
            runner=runner,
        )
        engine.views.transport = transport.name
        engine.views.data_path = transport.data_path
        engine.views.strict_because = transport.strict_because
        engine.views.coherence = settings.coherence
        engine.views.attach_all()
        stack.enter_context(feed)
        attribution = Attribution(feed, Echoes(), transport.settle, transport.writers)
        watcher = stack.enter_context(DirectoryWatcher(attribution))
        if isinstance(transport, KernelTransport):
            transport.watcher = watcher
        stack.enter_context(Hosts(table, feed, watcher, attribution))
        settings.views.mkdir(mode=0o755, parents=True, exist_ok=True)
        stack.callback(transport.stop)
        transport.start(os.fsencode(settings.views))
        stack.callback(engine.views.unbind_all)
        engine.views.bind_all()
        stack.enter_context(runner)  # after the mount: as an ordinary user the launcher sees only what is mounted now
        stack.callback(engine.lifecycle.close)
        engine.lifecycle.restore()
        yield engine


def _private_trees(root: Path) -> PrivateTrees:
    staging = root / "staging"
    staging.mkdir(mode=0o700, exist_ok=True)
    trees = PrivateTrees(staging)
    if trees.reason:
        _log.warning("private trees are copies", reason=trees.reason)
    return trees


def _transport(settings: Settings, table: ViewTable, watcher: DirectoryWatcher) -> tuple[Transport, ViewBinder]:
    """Choose how views are served, and how they are mounted elsewhere."""
    transport = _choose(settings.transport, table, watcher)
    _log.info("transport chosen", transport=transport.name, reason=transport.reason)
    binder = BindBinder if os.geteuid() == 0 else RefusingBinder
    return transport, binder(settings.views)


def _choose(wanted: str, table: ViewTable, watcher: DirectoryWatcher) -> Transport:
    """Return the transport asked for; `auto` is the kernel transport where it works.

    Raises:
        Unavailable: it does not work here.
    """
    works, reason = KernelTransport.available()
    if wanted == "fusepy":
        return _fusepy(table, "asked for")
    if works:
        return KernelTransport(table, "asked for" if wanted == "kernel" else reason, lease_watcher=watcher)
    if wanted == "kernel":
        raise Unavailable(f"transport kernel: {reason}")
    return _fusepy(table, f"the kernel transport does not work here: {reason}")


def _fusepy(table: ViewTable, reason: str) -> Transport:
    try:
        from volfuse.transport.fusepy import FusepyTransport
    except OSError as exc:  # fusepy looks for libfuse when it is imported
        raise Unavailable(f"transport fusepy: {exc}: install libfuse2") from exc
    return FusepyTransport(table, reason)
