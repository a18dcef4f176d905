"""What the README shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from volfuse.testing import DaemonProcess

README = Path(__file__).parents[2] / "README.md"


def console_steps() -> list[tuple[str, str]]:
    """The commands of the README's console example, each with the output that it shows."""
    (block,) = re.findall(r"^```console\n(.*?)^```", README.read_text(), flags=re.M | re.S)
    steps = re.split(r"^\$ ", block, flags=re.M)[1:]
    return [(step.partition("\n")[0], step.partition("\n")[2]) for step in steps]


def test_console_example(tmp_path, volfuse_daemon):
    mark = "-- end of step --"
    steps = console_steps()
    script = "".join(f"{command}\necho '{mark}'\n" for command, _ in steps)
    with DaemonProcess(tmp_path / "root") as daemon:
        environ = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "VOLFUSE_ROOT": str(daemon.root),
        }
        ran = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert ran.stderr == ""
    printed = ran.stdout.split(f"{mark}\n")[:-1]
    assert list(zip([command for command, _ in steps], printed, strict=True)) == steps


def test_pytest_example(pytester):
    (block,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), flags=re.M | re.S)
    pytester.makepyfile(block)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
