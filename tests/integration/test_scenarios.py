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

WITHOUT_PROGRAMS = ("09-volume-inspect", "11-volume-prune", "23-mount-errors", "71-formats")
"""Scenarios that run nothing in a container."""


@pytest.fixture(scope="module")
def image_tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tars of the scenarios' images."""
    needs(os.geteuid() == 0, "the images have owners and modes that only root can make")
    needs(shutil.which("busybox") is not None, "the images are made of busybox-static")
    directory = tmp_path_factory.mktemp("tars")
    subprocess.run([HERE / "img" / "build.sh", directory], check=True, capture_output=True)
    return directory


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A wrapper that is called as Docker's command."""
    directory = tmp_path_factory.mktemp("engine")
    with DaemonProcess(directory / "root") as daemon:
        wrapper = directory / "engine"
        wrapper.write_text(f'#!/bin/sh\nexec {Path(sys.executable).parent}/volfuse --root {daemon.root} "$@"\n')
        wrapper.chmod(0o755)
        yield wrapper


@pytest.mark.parametrize("scenario", WITHOUT_PROGRAMS)
def test_scenario(scenario: str, engine: Path, image_tars: Path) -> None:
    environ = {**os.environ, "ORACLE_TARS": str(image_tars), "SHOW": "1"}
    ran = subprocess.run([HERE / "run.sh", engine, scenario], env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
