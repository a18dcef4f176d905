"""What tests of all kinds need."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

__all__ = ["ROOT", "compiled_environ", "eventually", "needs"]

_DEADLINE_S = 10.0

ROOT = Path(__file__).resolve().parents[1]


def needs(condition: bool, reason: str) -> None:
    """Skip the test unless `condition` holds; with VOLFUSE_REQUIRE_ALL=1 fail, so that nothing is skipped unseen."""
    if condition:
        return
    if os.environ.get("VOLFUSE_REQUIRE_ALL") == "1":
        pytest.fail(f"required by VOLFUSE_REQUIRE_ALL: {reason}")
    pytest.skip(reason)


def eventually(holds: Callable[[], bool], deadline_s: float = _DEADLINE_S) -> None:
    """Ask until something holds that comes by itself."""
    deadline = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < deadline, "it has not come"


def compiled_environ() -> dict[str, str]:
    """Return variables with which a Python that a test starts uses volfuse as compiled by `scripts/setup compiled`."""
    compiled = ROOT / ".compiled"
    needs(compiled.is_dir(), "volfuse is not compiled: scripts/setup compiled")
    # Without the first, `python -m` would look into the working directory, the checkout, before anything else.
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": f"{compiled}:{ROOT}"}
