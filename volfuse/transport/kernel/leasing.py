"""Leases at work: what the kernel may keep of shared directories, and the threads that make it let go.

`core.leases` says what may be granted and who waits; this sends the notifications and holds requests up. A request that
waits does so on the thread that read it, which hands the reading over first.

What is granted is watched on the host: a directory is watched before anything in it is looked at. Where that does not
work (no more watches), the mount goes on strictly, and says so.

Lock order: `_lock` is innermost; nothing is sent and nobody waits under it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from volfuse.core.leases import FIRST_NS, Change, Leases, Name, Verdict
from volfuse.core.watching import WatchEvent, What
from volfuse.errors import Unavailable
from volfuse.fs.watching import SourceWatcher, Watch
from volfuse.sys.statx import Statx
from volfuse.sys.threadstate import is_running, ran_ns
from volfuse.transport.kernel.mounts import MountState, both_keys
from volfuse.transport.kernel.nodes import Directory, File, Node, NodeTable
from volfuse.transport.kernel.places import OpenDirectories, stale
from volfuse.transport.kernel.session import Reader, Session
from volfuse.transport.kernel.wire.flags import FUSE_EXPIRE_ONLY
from volfuse.transport.kernel.wire.notifications import inval_attributes, inval_entry, prune

__all__ = ["Leasing"]

_log = logging.getLogger(__name__)

_LIMIT: Final = 1 << 18
"""Names that are granted at most: some 200 bytes each."""
_THREADS: Final = 4
_RETRY, _WAIT = Verdict.RETRY, Verdict.WAIT
_now_ns = time.monotonic_ns
_STEP_S: Final = 0.0001
_RAN_NS: Final = 100_000
"""A thread that was answered and has run for so long since has long used the answer."""
_PATIENCE_S: Final = 1.0
_WARN_S: Final = 10.0
_LOOKED: Final = 1024
_NAMES: Final = int(What.CREATE | What.DELETE | What.MOVED_FROM | What.MOVED_TO)
_LOST: Final = int(What.UNMOUNT | What.IGNORED)


class _Looked(NamedTuple):
    """A look-up that was answered with a grant: the reader, and the request's number."""

    reader: Reader
    unique: int


class _Waiting:
    """A change that is held up.

    Attributes:
        go: whether it is to be done, rather than tried again. Set before `over`.
    """

    __slots__ = ("go", "over")

    def __init__(self) -> None:
        self.go = False
        self.over = threading.Event()

    def end(self, go: bool) -> None:
        """Let it go on."""
        self.go = go
        self.over.set()


class _Listener:
    """Hears of a directory in which names are granted."""

    __slots__ = ("_leasing", "directory", "mount")

    def __init__(self, leasing: Leasing, mount: MountState, directory: Directory) -> None:
        self._leasing = leasing
        self.mount = mount
        self.directory = directory

    def happened(self, event: WatchEvent) -> None:
        """See `fs.watching.Listener`."""
        self._leasing.heard(self, event)

    def lost(self, reason: str) -> None:
        """See `fs.watching.Listener`."""
        self._leasing.lost(self.directory, reason)


class Leasing:
    """Grants, waits and expiries of one session.

    Args:
        watcher: None if nothing can be watched; then nothing is granted.
        problem: why else nothing can be granted; empty if it can.

    Attributes:
        session: set before the first request.
        looked: by thread id, the last look-up that was answered with a grant.
        told: threads that were told to try again.
        prunes: the kernel takes FUSE_NOTIFY_PRUNE.
    """

    def __init__(
        self, nodes: NodeTable, directories: OpenDirectories, watcher: SourceWatcher | None, problem: str = ""
    ) -> None:
        self._nodes = nodes
        self._directories = directories
        self._statx = Statx()  # for the watcher's thread
        self._watcher = watcher
        self._problem = problem or ("" if watcher is not None else "source directories are not watched")
        self.session: Session
        self.prunes = False
        self._dropping: set[int] = set()  # files whose attributes are being dropped
        self.looked: dict[int, _Looked] = {}
        self._leases = Leases(_LIMIT)  # guarded by self._lock, but for reading its version
        self.told = self._leases.told
        self._waiting: dict[Change, _Waiting] = {}  # guarded by self._lock
        self._warned_s = 0.0
        self._unheard: set[Directory] = set()  # watched no more, and not dropped yet; guarded by self._lock
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, "volfuse-lease")
        self._closed = False

    def close(self) -> None:
        """End the threads, after the session has ended."""
        self._closed = True
        self._threads.shutdown(wait=True, cancel_futures=True)

    # Granting.

    def version(self) -> int:
        """Return what to tell `grant`; ask before looking at the file."""
        return self._leases.version

    def watch(self, mount: MountState, directory: Directory, fd: int) -> bool:
        """Have a directory watched, so that names may be granted in it; false if that cannot be."""
        if directory.watch is not None:
            return True
        if self._problem or self._watcher is None:
            mount.fall_back(self._problem)
            return False
        try:
            watch = self._watcher.watch(fd, _Listener(self, mount, directory))
        except Unavailable as exc:
            mount.fall_back(str(exc))
            return False
        except OSError as exc:
            mount.fall_back(f"a directory cannot be watched: {exc.strerror}")
            return False
        if not self._enter(directory, watch):
            watch.close()  # another thread was faster
        return True

    def _enter(self, directory: Directory, watch: Watch) -> bool:
        with self._lock:
            if directory.watch is not None:
                return False
            directory.leased = True
            directory.watch = watch
            return True

    def grant(
        self, reader: Reader | None, directory: Directory, node: int, name: bytes, key: bytes, version: int
    ) -> bool:
        """Let a view's kernel keep a name that meant the file with a key at a version; false where it may not.

        Args:
            reader: whose look-up is to be answered so; None for other requests, during which the kernel has the
                directory locked.
        """
        if reader is not None and len(self.looked) >= _LOOKED:
            self._until_taken()  # who is forgotten must have gone on: see there
        with self._lock:
            if not self._leases.grant(directory, node, name, key, version, _now_ns()):
                return False
            if reader is not None:
                self.looked[reader.pid] = _Looked(reader, reader.unique)
            self._dispatch()
        return True

    def attributes_changed(self) -> None:
        """Note that attributes have changed: what was seen of them before is kept for a tick only.

        An answer that is under way already is thrown away by the kernel, which is told afterwards to ask again: see
        `drop_node`.
        """
        with self._lock:
            self._leases.version += 1

    def forgotten(self, gone: Node) -> None:
        """Note that the kernel has forgotten a node, and with it what its name means; unless it was given again."""
        with self._lock:
            if isinstance(gone, File):
                writable, readonly = both_keys(gone.key)
                known = self._nodes.find_file(writable) or self._nodes.find_file(readonly)
                if gone.parent is not None and known is None:
                    self._leases.forgotten(gone.parent, gone.name, writable)
                return
            directory, above = gone.directory, gone.parent
            if directory is None or directory.parent is None or above is None:
                return
            if directory.key not in gone.mount.nodes:
                self._leases.forgotten(directory.parent, directory.name, directory.key, above.id)

    def dropped(self, directory: Directory) -> None:
        """Note that the kernel holds no node of a directory any more."""
        with self._lock:
            self._leases.dropped(directory)
            watch, directory.watch = directory.watch, None
        if watch is not None:
            watch.close()

    # Changes.

    def begin(self, reader: Reader, names: tuple[Name, ...]) -> Change:
        """Hold a request up that removes or renames names until no other view uses them; `finish` follows.

        Raises:
            OSError: ESTALE: the kernel is to let its locks go and try again.
        """
        change = Change(reader.pid, names, tuple([node for _, node, _ in names]))
        with self._lock:
            verdict = self._leases.begin(change, _now_ns())
            if verdict is _WAIT:
                self._waiting[change] = waiting = _Waiting()
            self._dispatch()
        if verdict is _RETRY:
            raise stale()
        if verdict is _WAIT and not self._wait(reader, waiting):
            raise stale()
        if change.forced and self.prunes:
            self._prune(reader, change)
        return change

    def _prune(self, reader: Reader, change: Change) -> None:
        """Have names that a change does not wait for let go of without a lock, as far as nobody uses them just now."""
        files = []
        for directory, node, name in change.names:
            shown = self._nodes.by_id.get(node)
            holder = directory.holder  # type: ignore[attr-defined]
            if shown is None or holder is None or reader.statx.find(holder.fd, name):
                continue
            file = self._nodes.find_file(shown.mount.key(reader.statx))
            if file is not None:
                files.append(file.id)
        if files:
            self._until_taken()
            self.session.notify(prune(files))

    def look(self, reader: Reader, directory: Directory, node: int, name: bytes) -> None:
        """Hold up the look-up of a name by a thread that was told to try again."""
        with self._lock:
            change = self._leases.look(reader.pid, directory, node, name, _now_ns())
            if change is not None:
                self._waiting[change] = waiting = _Waiting()
            self._dispatch()
        if change is not None:
            self._wait(reader, waiting)

    def finish(
        self, change: Change, removed: Sequence[int] = (), moved: Sequence[tuple[int, int, object]] = ()
    ) -> None:
        """Note what has become of a change: see `Leases.finish`."""
        with self._lock:
            self._go(self._leases.finish(change, removed, moved))
            self._dispatch()

    def _wait(self, reader: Reader, waiting: _Waiting) -> bool:
        """Wait until a change may be done; false if it is to be tried again."""
        reader.hand_over()
        reader.waits = True
        while not waiting.over.wait(FIRST_NS / 1e9):
            with self._lock:
                self._go(self._leases.late(_now_ns()))
                self._dispatch()
        reader.waits = False
        return waiting.go

    # What happens past the views. Told on the watcher's thread; what may wait is done on others.

    def heard(self, listener: _Listener, event: WatchEvent) -> None:
        """Hear that something has changed in a directory, most often through a view: is what was granted still true?"""
        directory, name, what = listener.directory, event.name, event.what
        if what & _LOST:
            self._stop_trusting(directory)
            return
        if what & _NAMES:
            with self._lock:
                key = self._leases.key(directory, name)
                self._leases.version += 1
            if key is not None and key != self._key_at(listener, name):
                self._start(self._host_changed, listener, name, key)
                return
        elif name:
            key = self._leases.key(directory, name) or self._key_at(listener, name)
            file = self._nodes.find_file(key) if isinstance(key, bytes) else None
            if file is not None and file.lasting:
                self._start(self._drop_file_later, file)
            return
        if directory.fresh and self._has_changed(listener):
            self._start(self.drop_attributes, directory)

    def lost(self, directory: Directory, reason: str) -> None:
        """Hear that it is not known what has happened to a directory; it is watched anew when it is used again."""
        self._stop_trusting(directory)
        now = time.monotonic()
        if now - self._warned_s > _WARN_S:  # not for each directory
            self._warned_s = now
            _log.warning("what is kept of shared directories is dropped: %s", reason)

    def changed_outside(self, mount: MountState, directory: Directory, names: Sequence[bytes]) -> None:
        """Have names let go of in all views, since the daemon has changed them itself; return when it has happened."""
        with self._lock:
            keys = [self._leases.key(directory, name) for name in names]
            for name in names:
                self._leases.changed_outside(directory, name)
            self._dispatch()
        self.drop_attributes(directory)
        statx = Statx()
        for name in names:
            with contextlib.suppress(OSError):  # there is nothing now
                found = statx.at(self._directories.holder(directory, mount, statx).fd, name)
                keys.append(mount.name_key(mount.key(found)))
        for key in keys:
            file = self._nodes.find_file(key) if isinstance(key, bytes) else None
            if file is not None:
                self.drop_file(file)
        while not self._closed and any(self._leases.is_expiring(directory, name) for name in names):
            time.sleep(_STEP_S)

    def drop_file(self, file: File) -> None:
        """Have the kernel ask for a file's attributes again."""
        if file.lasting or file.id in self._dropping:
            self._dropping.add(file.id)
            file.lasting = False
            self.drop_node(file.id)
            self._dropping.discard(file.id)

    def drop_node(self, node: int) -> None:
        """Have the kernel ask for a node's attributes again.

        A node that the kernel does not know yet, though it was given, is in an answer that the asking thread has not
        taken in: of a new node it would take old attributes as well.
        """
        message = inval_attributes(node)
        if self.session.notify(message):
            return
        self.session.let_read()  # it may also have been forgotten, which is still to be read
        deadline = time.monotonic() + _PATIENCE_S
        while node in self._nodes.by_id and not self.session.notify(message) and time.monotonic() < deadline:
            time.sleep(_STEP_S)

    def _host_changed(self, listener: _Listener, name: bytes, key: bytes) -> None:
        with self._lock:
            self._leases.changed_outside(listener.directory, name)
            self._dispatch()
        self.drop_attributes(listener.directory)
        file = self._nodes.find_file(key)
        if file is not None:  # it has lost a name
            self.drop_file(file)

    def _stop_trusting(self, directory: Directory) -> None:
        """Drop what is kept of a directory, together with all others of which so much is asked meanwhile."""
        with self._lock:
            first = not self._unheard
            self._unheard.add(directory)
        if first:
            self._start(self._drop_unheard)

    def _drop_unheard(self) -> None:
        with self._lock:
            directories, self._unheard = self._unheard, set()
            watches = [directory.watch for directory in directories if directory.watch is not None]
            for directory in directories:
                directory.watch = None  # before names are dropped: none is granted from then on
                self._leases.lost(directory)
            self._dispatch()
        for watch in watches:
            watch.close()
        for directory in directories:
            self.drop_attributes(directory)
        for node in list(self._nodes.by_id.values()):
            if isinstance(node, File) and node.lasting and node.parent in directories:
                self.drop_file(node)

    def drop_attributes(self, directory: Directory) -> None:
        """Have the kernel ask for a directory's attributes again, in all views."""
        self.attributes_changed()
        for node in list(directory.fresh):
            self.drop_fresh(directory, node)

    def drop_fresh(self, directory: Directory, node: int) -> None:
        """Have the kernel ask for the attributes of a directory's node again, which only then is not fresh any more.

        Another thread that changes the directory meanwhile does the same, rather than go on before it has happened.
        """
        given = directory.fresh.get(node)
        if given is not None:
            self.drop_node(node)
            if directory.fresh.get(node) == given:
                directory.fresh.pop(node, None)

    def _drop_file_later(self, file: File) -> None:
        self.attributes_changed()
        self.drop_file(file)

    def _has_changed(self, listener: _Listener) -> bool:
        """Whether a directory is another than the kernel was told last."""
        directory = listener.directory
        try:
            holder = self._directories.holder(directory, listener.mount, self._statx)
            return self._statx.at(holder.fd, b"").changed() != directory.stamp
        except OSError:
            return True

    def _key_at(self, listener: _Listener, name: bytes) -> bytes | None:
        """Return the key of what has a name now; None if there is nothing, or the directory is not there."""
        try:
            holder = self._directories.holder(listener.directory, listener.mount, self._statx)
            mount = listener.mount
            return mount.name_key(mount.key(self._statx.at(holder.fd, name)))
        except OSError:
            return None

    # Expiring.

    def _dispatch(self) -> None:
        """Send what is to be sent, let go on who may. Called with the lock held."""
        for change in self._leases.take_back():
            self._waiting.pop(change).end(go=False)
        if self._leases.unsent:
            for gone in self._leases.take():
                self._start(self._expire, gone)

    def _start(self, do: Callable[..., None], *arguments: object) -> None:
        """Do something on another thread, nothing after `close`."""
        try:
            self._threads.submit(_logged, do, *arguments)
        except RuntimeError:
            if not self._closed:
                raise

    def _go(self, ready: Sequence[Change]) -> None:
        """Let changes be done. Called with the lock held."""
        for change in ready:
            self._waiting.pop(change).end(go=True)

    def _expire(self, gone: Name) -> None:
        _, node, name = gone
        try:
            self._until_taken()
            self.session.notify(inval_entry(node, name, FUSE_EXPIRE_ONLY))
        finally:
            with self._lock:
                self._go(self._leases.expired(gone))
                self._dispatch()

    def _until_taken(self) -> None:
        """Return when the kernel has taken in all look-ups that were answered with grants.

        It does so on the asking thread, and not always with the directory locked; a name that it was told to ask for
        again before would be kept after all.
        """
        for thread, looked in list(self.looked.items()):
            _until_gone_on(thread, looked)
            if self.looked.get(thread) is looked:
                del self.looked[thread]


def _until_gone_on(thread: int, looked: _Looked) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while looked.reader.busy == looked.unique and time.monotonic() < deadline:
        time.sleep(_STEP_S)
    before = ran_ns(thread)
    while is_running(thread) and ran_ns(thread) - before < _RAN_NS and time.monotonic() < deadline:
        time.sleep(_STEP_S)


def _logged(do: Callable[..., None], *arguments: object) -> None:
    try:
        do(*arguments)
    except Exception:
        _log.exception("making the kernel let go of names failed")
        raise
