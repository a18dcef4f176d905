"""The recorded scenarios: what a real engine printed, volfuse prints (tests/scenarios/README.md)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import needs
from volfuse.testing import DaemonProcess

HERE = Path(__file__).parents[1] / "scenarios"

SCENARIOS = sorted(path.stem for path in (HERE / "scenarios").glob("*.sh"))

COMMANDS = {
    "volfuse": 'exec "{bin}/volfuse" --root "{daemon.root}" "$@"',
    "docker": 'DOCKER_HOST="{daemon.docker_host}" exec docker "$@"',
}
"""Clients that drive the engine."""


@pytest.fixture(scope="module")
def image_tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tars of the scenarios' images."""
    needs(os.geteuid() == 0, "the images have owners and modes that only root can make")
    needs(shutil.which("busybox") is not None, "the images are made of busybox-static")
    directory = tmp_path_factory.mktemp("tars")
    subprocess.run([HERE / "img" / "build.sh", directory], check=True, capture_output=True)
    return directory


@pytest.fixture(scope="module", params=COMMANDS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A wrapper that is called as Docker's command."""
    needs(shutil.which("bwrap") is not None, "containers run in bubblewrap")
    needs(request.param != "docker" or shutil.which("docker") is not None, "the docker command is not installed")
    directory = tmp_path_factory.mktemp("engine")
    with DaemonProcess(directory / "root") as daemon:
        wrapper = directory / "engine"
        command = COMMANDS[request.param].format(bin=Path(sys.executable).parent, daemon=daemon)
        wrapper.write_text(f"#!/bin/sh\n{command}\n")
        wrapper.chmod(0o755)
        yield wrapper


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, engine: Path, image_tars: Path) -> None:
    environ = {**os.environ, "ORACLE_TARS": str(image_tars), "SHOW": "1"}
    ran = subprocess.run([HERE / "run.sh", engine, scenario], env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
