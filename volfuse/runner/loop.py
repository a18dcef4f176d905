"""One thread that waits for descriptors: output of programs, room in their inputs, news of the launcher."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable

__all__ = ["READ", "WRITE", "Loop"]

READ = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
WRITE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR

_log = logging.getLogger(__name__)


class Loop:
    """The thread and what it watches. `watch` and `unwatch` are for the thread itself; `call` is for everyone."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wakeup_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watched: dict[int, Callable[[], None]] = {}  # the thread only
        self._calls: deque[Callable[[], None]] = deque()  # appended by anyone, taken by the thread
        self._ending = False  # the thread only
        self._lock = threading.Lock()
        self._closed = False  # guarded by _lock
        self._epoll.register(self._wakeup_fd, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="runner-io", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Have the thread call a function soon; nothing happens when it has ended."""
        with self._lock:
            if not self._closed:
                self._calls.append(function)
                os.eventfd_write(self._wakeup_fd, 1)

    def watch(self, fd: int, events: int, ready: Callable[[], None]) -> None:
        """Call `ready` whenever the descriptor is; replaces what was asked for it before."""
        if fd in self._watched:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._watched[fd] = ready

    def unwatch(self, fd: int) -> None:
        """Stop watching a descriptor, before it is closed."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        """End the thread."""

        def end() -> None:
            self._ending = True

        self.call(end)
        self._thread.join()
        with self._lock:
            self._closed = True
            self._epoll.close()
            os.close(self._wakeup_fd)

    def _run(self) -> None:
        while not self._ending:
            for fd, _ in self._epoll.poll():
                if fd == self._wakeup_fd:
                    os.eventfd_read(fd)
                    self._run_calls()
                elif ready := self._watched.get(fd):
                    _guarded(ready)

    def _run_calls(self) -> None:
        while self._calls:
            _guarded(self._calls.popleft())


def _guarded(function: Callable[[], None]) -> None:
    try:
        function()
    except Exception:  # noqa: BLE001 - the boundary of what one program can break
        _log.exception("a program's stream failed")
