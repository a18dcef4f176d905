"""A runner whose programs end when a test says so."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from volfuse.core.resources import Controller

_S = 10.0


class FakeProcess:
    """A program; `ends_by` are the signals that end it."""

    def __init__(self, pid: int, output, on_exit, ends_by) -> None:
        self.pid = pid
        self.signals = []
        self._output = output
        self._on_exit = on_exit
        self._ends_by = ends_by
        self._ended = False
        self.limits = None
        self.out_of_memory = False
        self.cleared = False

    def end(self, code: int) -> None:
        self._ended = True
        self._on_exit(code)
        self._output.end()

    def signal(self, number: int) -> bool:
        if self._ended:
            return False
        self.signals.append(number)
        if number in self._ends_by:
            self.end(128 + number)
        return True

    def freeze(self) -> None:
        self.signals.append("freeze")

    def thaw(self) -> None:
        self.signals.append("thaw")

    def limit(self, limits) -> None:
        self.limits = limits

    def lacked_memory(self) -> bool:
        return self.out_of_memory

    def clear(self) -> None:
        self.cleared = True


class FakeRunner:
    """Takes the place of `runner.LauncherRunner`."""

    cgroups = SimpleNamespace(version=2, controllers=frozenset({Controller.MEMORY, Controller.CPU}), reason="")

    def __init__(self, *, ends_by=(9, 15)) -> None:
        self._ends_by = ends_by
        self._news = threading.Condition()
        self.processes = []

    def run(self, plan, output, source, on_exit) -> FakeProcess:
        with self._news:
            process = FakeProcess(len(self.processes) + 1000, output, on_exit, self._ends_by)
            self.processes.append(process)
            self._news.notify_all()
        return process

    def started(self, count: int) -> FakeProcess:
        """Wait for the start of so many programs; return the last of them."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.processes) >= count, _S)
            return self.processes[count - 1]
