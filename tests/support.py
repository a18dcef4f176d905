"""What tests of all kinds need."""

from __future__ import annotations

import os

import pytest

__all__ = ["needs"]


def needs(condition: bool, reason: str) -> None:
    """Skip the test unless `condition` holds; with VOLFUSE_REQUIRE_ALL=1 fail, so that nothing is skipped unseen."""
    if condition:
        return
    if os.environ.get("VOLFUSE_REQUIRE_ALL") == "1":
        pytest.fail(f"required by VOLFUSE_REQUIRE_ALL: {reason}")
    pytest.skip(reason)
