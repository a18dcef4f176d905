"""What is installed is whole."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support import ROOT


def test_the_wheel_has_the_files_of_the_page(tmp_path: Path) -> None:
    built = subprocess.run(
        [
            *(sys.executable, "setup.py", "-q", "egg_info", "--egg-base", tmp_path),
            *("build", "--build-base", tmp_path / "build", "bdist_wheel", "--dist-dir", tmp_path),
        ],
        cwd=ROOT,
        env={**os.environ, "VOLFUSE_COMPILE": "0"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if name.startswith("volfuse/ui/static/")}
    static = ROOT / "volfuse" / "ui" / "static"
    assert packed == {f"volfuse/ui/static/{file.name}": file.read_bytes() for file in static.iterdir()}
    assert "volfuse/ui/static/page.html" in packed
