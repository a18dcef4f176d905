"""What the command does with signals while a container's streams are connected.

Either they are passed on to the container, or those that end a process end the command in order, so that the terminal
is restored. A change of the window's size goes to the container's terminal. Python's handlers only note the signal; a
thread with a connection of its own tells the daemon, in order.

Source: docker/cli, cli/command/container/signals.go and tty.go, cmd/docker/docker.go.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Self

from volfuse.cli.client import Client, segment
from volfuse.cli.failure import CommandFailed, Ended
from volfuse.cli.output import complain
from volfuse.cli.terminal import window_size

__all__ = ["Signals", "resize", "signal_name", "start_unsignalled"]

Handler = Callable[[int, FrameType | None], object] | int

_KEPT = frozenset(
    (
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGCHLD,
        signal.SIGPIPE,
        signal.SIGURG,
        signal.SIGTTIN,  # the terminal belongs to another job: being stopped is the only sensible answer
        signal.SIGTTOU,
        signal.SIGSEGV,  # these come from the command's own faults
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
    )
)
_HARMLESS = frozenset((signal.SIGCONT, signal.SIGTSTP, signal.SIGWINCH))
"""They do not end a process (man 7 signal)."""

_PATIENCE = 3
"""So many SIGINT or SIGTERM end the command though it passes them on."""

_RETRY = 0
"""Noted in place of a signal: the terminal could not be resized yet."""

_RETRIES = 10
_RETRY_S = 0.01
_RTMIN, _RTMAX = int(signal.SIGRTMIN), int(signal.SIGRTMAX)


def signal_name(number: int) -> str:
    """Return the name that the API takes: `TERM`, `RTMIN+3`."""
    if number in (_RTMIN, _RTMAX):
        return "RTMIN" if number == _RTMIN else "RTMAX"
    if _RTMIN < number <= _RTMIN + 15:
        return f"RTMIN+{number - _RTMIN}"
    if number > _RTMIN:
        return f"RTMAX-{_RTMAX - number}"
    return signal.Signals(number).name.removeprefix("SIG")


class Signals:
    """Handling of signals within a block; the handlers of before are back afterwards. Main thread only.

    Args:
        client: of the daemon, used by the main thread only.
        container: who gets the signals; None to end the command.
    """

    def __init__(self, client: Client, container: str | None) -> None:
        self._client = client
        self._apart = client.another()  # the thread's own
        self._container = container
        self._resize_path: str | None = None
        self._noted: SimpleQueue[int | None] = SimpleQueue()
        self._ending = 0
        self._before: dict[int, Handler] = {}
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._container is None:
            self._catch(_KEPT | _HARMLESS, self._end)
        else:
            self._catch(_KEPT, self._note)
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._thread is not None:
            self._noted.put(None)
            self._apart.cut()
            self._thread.join()
        self._apart.close()

    def follow_window(self, path: str) -> None:
        """Tell a terminal's size, now and whenever it changes.

        Args:
            path: of the container or exec, below which `/resize` is.
        """
        self._resize_path = path
        self._before.setdefault(signal.SIGWINCH, _known(signal.signal(signal.SIGWINCH, self._note)))
        self._start()
        if not resize(self._client, path, *window_size()):
            self._noted.put(_RETRY)

    def _catch(self, spared: Collection[int], handler: Callable[[int, FrameType | None], object]) -> None:
        """Handle all signals but some, and but those that whoever started the command wants ignored (nohup)."""
        for number in sorted(signal.valid_signals() - set(spared)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = _known(signal.signal(number, handler))

    def _end(self, number: int, _frame: FrameType | None) -> None:
        for ending in self._before:  # one is enough; more must not disturb the clearing up
            signal.signal(ending, signal.SIG_IGN)
        raise Ended(number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number in (signal.SIGINT, signal.SIGTERM):
            self._ending += 1
            if self._ending == _PATIENCE:
                raise CommandFailed("\ngot 3 SIGTERM/SIGINTs, forcefully exiting")
        self._noted.put(number)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="signals", daemon=True)
            start_unsignalled(self._thread)

    def _serve(self) -> None:
        retries = 0
        while True:
            try:
                number = self._noted.get(timeout=_RETRY_S * (_RETRIES + 1 - retries) if retries else None)
            except Empty:
                retries = self._try_again(retries)
                continue
            if number is None:
                return
            if number == _RETRY:
                retries = _RETRIES
            else:
                self._pass_on(number)

    def _try_again(self, retries: int) -> int:
        if self._resized():
            return 0
        if retries == 1:
            complain("failed to resize tty, using default size")
        return retries - 1

    def _pass_on(self, number: int) -> None:
        if number == signal.SIGWINCH:
            self._resized()
        if self._container is not None:
            with suppress(CommandFailed):  # the container may have ended meanwhile
                self._apart.post(f"/containers/{segment(self._container)}/kill", {"signal": signal_name(number)})

    def _resized(self) -> bool:
        return self._resize_path is None or resize(self._apart, self._resize_path, *window_size())


def resize(client: Client, path: str, height: int, width: int) -> bool:
    """Set a terminal's size, if there is one; False if the daemon refuses, as it does until the program runs."""
    if (height, width) == (0, 0):
        return True
    try:
        client.post(f"{path}/resize", {"h": str(height), "w": str(width)})
    except CommandFailed:
        return False
    return True


def start_unsignalled(thread: threading.Thread) -> None:
    """Start a thread that gets no signals, so that they always wake the main thread.

    Those that stop a background job which uses its terminal stay: blocked, they would be errors of reads and writes.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGTTIN, signal.SIGTTOU})
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _known(handler: Handler | None) -> Handler:
    """Return a handler that can be set again; None stands for one that Python does not know."""
    return signal.SIG_DFL if handler is None else handler
