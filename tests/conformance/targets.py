"""Where the conformance suite runs: directories that show one source."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.support import ROOT, compiled_environ

__all__ = ["COMPILED", "LEASED", "Server", "Target", "as_user"]

COMPILED = "compiled"
LEASED = "leased"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Target:
    """One empty directory, seen from up to three sides.

    Attributes:
        kind: `bare`, or the transport and what it shows: `fusepy-shared`, `fusepy-private`.
        path: where changes are made.
        other: the same directory through another view, where there is one.
        host: the same directory in the source.
    """

    kind: str
    path: Path
    other: Path
    host: Path

    @property
    def sides(self) -> tuple[Path, ...]:
        """All of them."""
        return self.path, self.other, self.host

    @property
    def prompt(self) -> tuple[Path, ...]:
        """Those whose changes are seen on all sides at once: under leases the host's come a little later."""
        return self.sides[:2] if self.kind.startswith(LEASED) else self.sides


class Server:
    """A process that serves views (`serve.py`).

    Args:
        transport: `fusepy`, `kernel`, `compiled`: the kernel transport as compiled code, or `leased`: with leases in
            the shared source.
    """

    def __init__(self, transport: str, base: Path) -> None:
        self.transport = transport
        self.base = base
        self.mountpoint = base / "views"
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.mountpoint)
        self._log = (base / "log").open("w+b")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.conformance.serve"),
                *("kernel" if transport in (COMPILED, LEASED) else transport, str(self.mountpoint), str(base)),
                *(["watched"] if transport == LEASED else []),
            ],
            cwd=ROOT,
            env={**os.environ, **(compiled_environ() if transport == COMPILED else {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        try:
            self._answer()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, command: str, *arguments: object) -> Any:  # noqa: ANN401 (JSON)
        """Have the process do something; return what it answers."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, *arguments]).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def attach(self, name: str, *mounts: dict[str, Any]) -> Path:
        """Show a view; return its directory."""
        self.ask("attach", name, list(mounts))
        return self.mountpoint / name

    def stop(self) -> str:
        """End the process and whatever it has left mounted; return what it logged."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            # Not by the end of stdin alone: a child that a test has forked may hold the pipe too.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(b'["stop"]\n')
                self._process.stdin.close()
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._process.stdout.close()
            subprocess.run(["umount", "-l", str(self.mountpoint)], check=False, stderr=subprocess.DEVNULL)
        self._log.seek(0)
        log = self._log.read().decode(errors="replace")
        self._log.close()
        return log

    def kill(self) -> None:
        """End the process as a crash would."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> Any:  # noqa: ANN401 (JSON)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError("the serving process has ended: " + self._log.read().decode(errors="replace"))
        return json.loads(line)


def as_user(uid: int, gid: int, action: Callable[[], Result], umask: int = 0o022) -> Result:
    """Do something in a child process as another user; return what it returns, raise what it raises."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            os.umask(umask)
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            try:
                answer: tuple[bool, Any] = (True, action())
            except OSError as exc:
                answer = (False, exc)
            with os.fdopen(writer, "wb") as file:
                pickle.dump(answer, file)
            status = 0
        except BaseException:  # noqa: BLE001 (the child's edge)
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        content = file.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, "the child failed, see its traceback"
    done, value = pickle.loads(content)
    if not done:
        raise value
    return value
