"""A container that lives in the fake daemon: its program is a Python function at the daemon's end of the streams."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .canned import INSPECTED
from .fakedaemon import FakeDaemon, Hijack, Reply, Request, Wire

__all__ = ["CONTAINER", "EXEC", "Program", "awaited", "install"]

CONTAINER = "e" * 64
EXEC = "9" * 64
_DEADLINE_S = 20.0


@dataclass
class Program:
    """What runs in the container.

    Attributes:
        script: the program, given the streams.
        status: its exit status.
        running: whether it was started before the test.
        killed: signals that came.
    """

    script: Callable[[Wire], None]
    status: int = 0
    tty: bool = False
    open_stdin: bool = False
    auto_remove: bool = False
    running: bool = False
    started: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    got_signal: threading.Event = field(default_factory=threading.Event)
    resized: threading.Event = field(default_factory=threading.Event)
    killed: list[str] = field(default_factory=list)
    received: bytes = b""

    def reset(self) -> None:
        """Be as before, for another client; what the earlier one has left behind keeps the old events."""
        self.started, self.ended, self.got_signal, self.resized = (threading.Event() for _ in range(4))
        if self.running:
            self.started.set()
        self.killed.clear()

    def attached(self, wire: Wire) -> None:
        """Run once started."""
        ended = self.ended
        awaited(self.started)
        try:
            self.script(wire)
        finally:
            ended.set()

    def exit_status(self, _request: Request) -> Reply:
        """Answer to `wait`: the head at once, the body at the end."""
        return Reply(chunks=self._ending(self.ended))

    def _ending(self, ended: threading.Event) -> Iterator[bytes]:
        awaited(ended)
        yield b'{"StatusCode":%d}\n' % self.status

    def start(self, _request: Request) -> Reply:
        """Answer to `start`."""
        self.started.set()
        return Reply(status=204)

    def kill(self, request: Request) -> Reply:
        """Answer to `kill`."""
        self.killed += request.query["signal"]
        self.got_signal.set()
        return Reply(status=204)

    def resize(self, _request: Request) -> Reply:
        """Answer to `resize`."""
        self.resized.set()
        return Reply()

    def inspected(self, _request: Request) -> Reply:
        """Answer to `inspect`."""
        state: dict[str, Any] = INSPECTED["State"] | {"Running": self.running, "Status": "running"}
        config = INSPECTED["Config"] | {"Tty": self.tty, "OpenStdin": self.open_stdin}
        host = INSPECTED["HostConfig"] | {"AutoRemove": self.auto_remove}
        return Reply(INSPECTED | {"Id": CONTAINER, "State": state, "Config": config, "HostConfig": host})


def awaited(event: threading.Event) -> None:
    """Wait for an event of a test.

    Raises:
        TimeoutError: it did not come.
    """
    if not event.wait(_DEADLINE_S):
        raise TimeoutError


def install(fake: FakeDaemon, program: Program) -> None:
    """Let a program be container `box`, the next one created, and the next exec in it."""
    program.reset()
    fake.routes["POST /containers/create"] = Reply({"Id": CONTAINER, "Warnings": []}, 201)
    for name in (CONTAINER, "box"):
        fake.routes |= {
            f"GET /containers/{name}/json": program.inspected,
            f"POST /containers/{name}/attach": Hijack(program.attached),
            f"POST /containers/{name}/wait": program.exit_status,
            f"POST /containers/{name}/start": program.start,
            f"POST /containers/{name}/kill": program.kill,
            f"POST /containers/{name}/resize": program.resize,
            f"POST /containers/{name}/exec": Reply({"Id": EXEC}, 201),
        }
    fake.routes |= {
        f"POST /exec/{EXEC}/start": Hijack(program.attached),
        f"POST /exec/{EXEC}/resize": program.resize,
        f"GET /exec/{EXEC}/json": Reply({"ID": EXEC, "Running": False, "ExitCode": program.status}),
    }
