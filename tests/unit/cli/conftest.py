"""A fake daemon, and the two commands that can talk to it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from volfuse.cli.main import main

from .canned import ROUTES
from .fakedaemon import FakeDaemon, serve


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit status."""

    out: str
    err: str
    status: int


Run = Callable[..., Outcome]


@pytest.fixture
def fake() -> Iterator[FakeDaemon]:
    """Serve the canned replies on a socket with a short path."""
    with tempfile.TemporaryDirectory(prefix="volfuse-cli-") as directory, serve(Path(directory) / "s.sock") as daemon:
        daemon.routes.update(ROUTES)
        yield daemon


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty home that is the working directory."""
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("HOME", str(directory))
    return directory


@pytest.fixture
def volfuse(fake: FakeDaemon, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `volfuse ARGS` in this process against the fake daemon."""
    monkeypatch.setenv("VOLFUSE_SOCKET", fake.socket)
    monkeypatch.setenv("VOLFUSE_AUTOSTART", "0")

    def run(*args: str, input: bytes = b"") -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(input)))
        with pytest.raises(SystemExit) as ended:
            main(args)
        shown = capsys.readouterr()
        return Outcome(shown.out, shown.err, int(ended.value.code or 0))

    return run


@pytest.fixture
def docker(fake: FakeDaemon, home: Path) -> Run:
    """Run the real `docker ARGS` against the fake daemon."""
    program = shutil.which("docker")
    if program is None:
        pytest.skip("the docker command is not installed")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
    environment |= {"DOCKER_HOST": f"unix://{fake.socket}"}

    def run(*args: str, input: bytes | None = None) -> Outcome:
        given = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        done = subprocess.run([program, *args], env=environment, capture_output=True, check=False, timeout=30, **given)
        return Outcome(done.stdout.decode(), done.stderr.decode(), done.returncode)

    return run
