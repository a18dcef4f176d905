"""The tests of modules that can be compiled, once more with the compiled ones: they are to do the same."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support import ROOT, compiled_environ

SUITES = (
    "tests/unit/transport/kernel",
    "tests/unit/fs",
    "tests/unit/sys",
    "tests/unit/watch",
    "tests/unit/core/test_echoes.py",
)
MODULES = "volfuse.sys.statx", "volfuse.fs.files", "volfuse.transport.kernel.session", "volfuse.watch.directories"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, **compiled_environ()}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )


def test_what_is_to_be_compiled_is() -> None:
    script = f"import {', '.join(MODULES)}, sys; print(*(sys.modules[name].__file__ for name in {MODULES}))"
    done = run("-c", script)
    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    assert all(file.startswith(str(ROOT / ".compiled")) and file.endswith(".so") for file in files), files


def test_the_tests_hold_for_compiled_modules() -> None:
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *SUITES)
    assert done.returncode == 0, done.stdout + done.stderr
