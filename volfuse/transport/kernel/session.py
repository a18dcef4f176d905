"""The session: readers of /dev/fuse, and one answer to each request.

One thread reads at a time, the *reader*, and answers what it read on the spot: in CPython that is faster than two
readers, between which the interpreter's lock changes hands. When a request takes long (a monitor looks every few
milliseconds) or says beforehand that it may (`Reader.hand_over`), a standby takes over the reading; so a source that
hangs holds up only those who use it.

Every request is answered exactly once, by the thread that read it, except one that was parked (`Parked`), which whoever
ends the wait answers, and one whose program is killed while its source hangs: that is answered EINTR, so that the
program can go, and the late answer is dropped. FORGET is never answered. A bad request is answered with an error where
it has an id, and never ends the session.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Final

from volfuse.sys.getdents import DirectoryStream
from volfuse.sys.raw import read, write
from volfuse.sys.statx import Statx
from volfuse.sys.threadfs import own_umask
from volfuse.transport.base import Failures
from volfuse.transport.kernel.negotiation import MAX_WRITE_BYTES
from volfuse.transport.kernel.wire.encoding import error
from volfuse.transport.kernel.wire.errors import ProtocolError
from volfuse.transport.kernel.wire.opcodes import CHANGING, NO_REPLY, Opcode
from volfuse.transport.kernel.wire.requests import Request

__all__ = ["Handler", "Reader", "Session"]

_log = logging.getLogger(__name__)

_BUFFER_BYTES: Final = MAX_WRITE_BYTES + 8192
_STREAM_BYTES: Final = 1 << 16
_SLOW_S: Final = 0.005
"""A request is slow if it is under way at two looks of the monitor: after 5 to 10 ms."""
_IDLE_LOOKS: Final = 400
"""Looks without any request after which the monitor sleeps until one comes."""
_CHORE_LOOKS: Final = 100
_STANDBYS: Final = 4
_MAX_READERS: Final = 512
_SETTLE_STEP_S: Final = 0.0001

_AGAIN: Final = frozenset({errno.ENOENT, errno.EINTR, errno.EAGAIN})
"""Errors of reading that say nothing; ENOENT: the request was interrupted."""
_ENDED: Final = frozenset({errno.ENODEV, errno.ECONNABORTED, errno.EBADF})


class Reader(Request):
    """A thread that reads and answers, with what it needs for itself.

    Attributes:
        busy: unique of the request under way, 0 between two.
        waits: for others, with nothing done yet.
    """

    __slots__ = ("_session", "_umask", "busy", "statx", "stream", "thread", "turn", "waits")

    def __init__(self, session: Session) -> None:
        super().__init__(_BUFFER_BYTES)
        self._session = session
        self._umask = -1
        self.busy = 0
        self.waits = False
        self.statx = Statx()
        self.stream = DirectoryStream(_STREAM_BYTES)
        self.turn = threading.Event()
        self.thread = threading.Thread(target=self._run, name="volfuse-reader", daemon=True)

    def hand_over(self) -> None:
        """Let another thread read on: this request may take long."""
        self._session.hand_over(self)

    def set_umask(self, mask: int) -> None:
        """Have what this thread makes from now on made with the caller's umask."""
        if mask != self._umask:
            os.umask(mask)
            self._umask = mask

    def _run(self) -> None:
        # Each thread has a umask of its own, set to the caller's where something is made: the source then applies it,
        # or the default ACL of the directory instead, as it would for the caller.
        session = self._session
        try:
            own_umask(0)
        except OSError as exc:
            session.ended(exc.errno or errno.EIO)
            return
        while session.wait_for_turn(self):
            self._serve()

    def _serve(self) -> None:
        session = self._session
        fd, buffer, opcodes = session.fd, self.buffer, len(session.handlers)
        handlers, owed = session.handlers, session.owed
        while session.reader is self:
            length = read(fd, buffer)
            if length < 0:
                if -length in _AGAIN:
                    continue
                session.ended(-length)
                return
            if session.monitor_sleeps:
                session.wake_monitor()
            reply: bytes | None = None
            try:
                self.parse(length)
                self.busy = self.unique
                owed[self.unique] = self
                handler = handlers[self.opcode] if self.opcode < opcodes else None
                if self.pid == session.replayer and session.replayer and handler is not None:
                    handler = session.replay_handlers[self.opcode]
                if handler is not None:
                    reply = handler(self)
                elif self.opcode not in NO_REPLY:
                    reply = error(self.unique, errno.ENOSYS)
            except OSError as exc:
                reply = error(self.unique, exc.errno or errno.EIO)
                # The traceback keeps every local of the request, descriptors among them: let it go before the reply.
                exc.__traceback__ = None
            except Exception as exc:  # noqa: BLE001 (the boundary of a request)
                reply = error(self.unique, session.unexpected(self.opcode, exc))
            if owed.pop(self.unique, None) is None and self.unique:
                session.drop(self.opcode, reply)
            elif reply is not None and self.unique and self.opcode not in NO_REPLY:
                written = write(fd, reply)
                if written < 0:
                    session.not_delivered(self.opcode, reply, -written)
            self.busy = 0


Handler = Callable[[Reader], bytes | None]
"""Serves one opcode: the request is in the reader; returns the reply, None if there is none yet."""


class Session:
    """Reads the device until the file system is unmounted.

    Args:
        fd: the device, mounted and initialised. Not closed.
        handlers: by opcode; None answers ENOSYS.
        undo: takes back what a reply gave (a lookup, a handle) that the kernel did not take.
        chore: called about twice a second while there are requests, and then until it returns false.

    Attributes:
        awake: set when a request comes after a pause.
        replayer: process id of the replay helper; 0 without.
        pause_replay: has the helper do nothing for a moment, once what it does is done.
        owed: who has a request under way, by unique. Who takes one out answers it (dict.pop is one step).
    """

    def __init__(
        self,
        fd: int,
        handlers: list[Handler | None],
        undo: Callable[[int, bytes], None],
        chore: Callable[[], bool],
        failures: Failures,
    ) -> None:
        self.fd = fd
        self.handlers = handlers
        self.reader: Reader | None = None  # guarded by self._lock where it is changed
        self.monitor_sleeps = False
        self.owed: dict[int, Reader] = {}
        self.done = threading.Event()
        self.awake = threading.Event()
        self.replayer = 0
        self.replay_handlers: list[Handler | None] = []
        self.pause_replay: Callable[[Reader], None] = _no_pause
        self._undo = undo
        self._chore = chore
        self._failures = failures
        self._lock = threading.Lock()
        self._standbys: list[Reader] = []  # guarded by self._lock
        self._all: list[Reader] = []  # guarded by self._lock
        self._interrupted: set[int] = set()  # added to by readers, emptied by the monitor
        self._hanging: set[int] = set()  # changes that `settle` has waited for long enough
        self._wake = threading.Event()
        self._monitor = threading.Thread(target=self._watch, name="volfuse-monitor", daemon=True)

    def replay(self, pid: int, handlers: list[Handler | None], pause: Callable[[Reader], None] | None = None) -> None:
        """Answer the requests of one process by other handlers, as many; of none for 0."""
        self.replayer = 0
        self.replay_handlers = handlers
        self.pause_replay = pause or _no_pause
        self.replayer = pid

    def start(self) -> None:
        """Begin to read."""
        with self._lock:
            self._next_reader()
        self._monitor.start()

    def join(self, timeout_s: float) -> bool:
        """Wait until every thread has ended, after the device has; false if one is stuck in a source."""
        self._wake.set()
        self._monitor.join(timeout_s)
        with self._lock:
            readers = list(self._all)
        for reader in readers:
            reader.thread.join(timeout_s)
        return not any(reader.thread.is_alive() for reader in readers)

    def settle(self, deadline_s: float) -> None:
        """Wait until the changes that readers are making now are done and published. For one thread."""
        deadline = time.monotonic() + deadline_s
        under_way = {reader.busy: reader for reader in list(self._all) if reader.opcode in CHANGING}
        under_way.pop(0, None)
        hanging = self._hanging & under_way.keys()
        while waiting := {u for u, r in under_way.items() if r.busy == u and not r.waits and u not in hanging}:
            if time.monotonic() >= deadline:
                hanging |= waiting
                break
            time.sleep(_SETTLE_STEP_S)
        self._hanging = hanging

    def hand_over(self, reader: Reader) -> None:
        """Give the reading to another thread, if `reader` has it."""
        with self._lock:
            if self.reader is reader and len(self._all) < _MAX_READERS and not self.done.is_set():
                self._next_reader()

    def wait_for_turn(self, reader: Reader) -> bool:
        """Wait until `reader` is to read; false if its thread is to end. Called by its own thread."""
        with self._lock:
            if self.reader is not reader:
                if self.done.is_set() or len(self._standbys) >= _STANDBYS:
                    self._all.remove(reader)
                    return False
                self._standbys.append(reader)
        reader.turn.wait()
        reader.turn.clear()
        if self.done.is_set():
            with self._lock:
                self._all.remove(reader)
            return False
        return True

    def ended(self, number: int) -> None:
        """Note that the device is at its end: ENODEV after unmounting, ECONNABORTED after an abort."""
        if number not in _ENDED:
            _log.error("reading /dev/fuse failed: %s", os.strerror(number))
        with self._lock:
            self.done.set()
            self.reader = None
            for standby in self._standbys:
                standby.turn.set()
            self._standbys.clear()
        self._wake.set()

    def send(self, message: bytes) -> None:
        """Write a reply or notification from a thread that is no reader.

        Raises:
            OSError: ENOENT if the kernel knows no such request or node (any more).
        """
        os.write(self.fd, message)

    def notify(self, message: bytes) -> bool:
        """Send a notification about something that the kernel may not hold any more; false if it does not."""
        try:
            self.send(message)
        except OSError as exc:
            if exc.errno != errno.ENOTDIR and exc.errno not in _AGAIN and exc.errno not in _ENDED:
                raise
            return exc.errno != errno.ENOENT
        return True

    def let_read(self) -> None:
        """Let another thread read on, if this one has the reading."""
        reader = self.reader
        if reader is not None and reader.thread is threading.current_thread():
            self.hand_over(reader)

    def unexpected(self, opcode: int, exc: Exception) -> int:
        """Count and log an exception that no handler should let out; return the errno to answer."""
        if isinstance(exc, ProtocolError):
            _log.error("bad request from the kernel: %s", exc)
            return errno.EIO
        try:
            name = Opcode(opcode).name
        except ValueError:
            name = str(opcode)
        return self._failures.errno_of(name, exc)

    def not_delivered(self, opcode: int, reply: bytes, number: int) -> None:
        """Undo what a reply promised that the kernel did not take: it gave the request up (ENOENT)."""
        if number == errno.ENOENT:
            self.drop(opcode, reply)
        elif number not in _ENDED:
            _log.error("a reply to opcode %d was refused: %s", opcode, os.strerror(number))
            if len(reply) > 16:
                os.write(self.fd, error(int.from_bytes(reply[8:16], "little"), errno.EIO))

    def drop(self, opcode: int, reply: bytes | None) -> None:
        """Undo what a reply promises that the kernel does not wait for any more."""
        if reply is not None and reply[4:8] == b"\0\0\0\0":
            self._undo(opcode, reply)

    def interrupt(self, unique: int) -> None:
        """Note that the program which waits for a request has got a signal: it is let go if it is being killed.

        Other signals wait, as they do while a local file system works: the request is done in the end.
        """
        if unique in self.owed:
            self._interrupted.add(unique)
            self.wake_monitor()

    def wake_monitor(self) -> None:
        """Let the monitor look again."""
        self.monitor_sleeps = False
        self.awake.set()
        self._wake.set()

    def _next_reader(self) -> None:
        """Let a standby, or a new thread, be the reader. Called with the lock held."""
        if self._standbys:
            self.reader = self._standbys.pop()
            self.reader.turn.set()
            return
        self.reader = reader = Reader(self)
        self._all.append(reader)
        reader.turn.set()
        reader.thread.start()

    def _watch(self) -> None:
        """Hand the reading over when the reader is in the same request at two looks."""
        last = looks = quiet = 0
        while not self.done.is_set():
            reader = self.reader
            busy = reader.busy if reader is not None else 0
            if busy and busy == last and reader is not None:
                self.hand_over(reader)
            if self._interrupted:
                self._let_go()
            quiet = 0 if busy or self._interrupted else quiet + 1
            last = busy
            looks += 1
            if looks % _CHORE_LOOKS == 0:
                self._tidy()
            if quiet < _IDLE_LOOKS or self._tidy():
                self._wake.wait(_SLOW_S)
                continue
            quiet = 0
            self._wake.clear()
            self.monitor_sleeps = True
            self._wake.wait()
            self._wake.clear()

    def _tidy(self) -> bool:
        try:
            return self._chore()
        except OSError as exc:
            if exc.errno not in _ENDED:
                _log.error("tidying up failed: %s", exc)
            return False

    def _let_go(self) -> None:
        """Answer the interrupted requests of programs that are being killed."""
        for unique in list(self._interrupted):
            reader = self.owed.get(unique)
            if reader is None or reader.opcode == Opcode.SETLKW:  # answered; or parked, which has an end of its own
                self._interrupted.discard(unique)
            elif _is_killed(reader.pid) and self.owed.pop(unique, None) is not None:
                try:
                    self.send(error(unique, errno.EINTR))
                except OSError as exc:
                    if exc.errno != errno.ENOENT and exc.errno not in _ENDED:
                        raise


def _is_killed(thread: int) -> bool:
    """Say whether a thread is about to end: the kernel gives SIGKILL to each thread of a process that a signal ends.

    A thread of a pid namespace that is not seen here has the id 0. Source: kernel/signal.c, complete_signal.
    """
    try:
        with open(f"/proc/{thread}/status", "rb") as file:
            pending = next((line for line in file if line.startswith(b"SigPnd:")), b"SigPnd: 0")
    except OSError:
        return False
    return bool(int(pending.split()[1], 16) & 1 << signal.SIGKILL - 1)


def _no_pause(_reader: Reader) -> None:
    """There is no replay."""
