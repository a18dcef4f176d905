"""Fixtures of all tests: nothing that a test opens, mounts or starts outlives it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest_plugins = ["pytester"]

__all__ = ["open_descriptors"]


@pytest.fixture
def open_descriptors() -> Iterator[None]:
    """Fail the test if it leaves more or other descriptors open than it found."""
    before = _descriptors()
    yield
    left = {fd: target for fd, target in _descriptors().items() if before.get(fd) != target}
    assert not left, f"descriptors left open: {left}"


def _descriptors() -> dict[str, str]:
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
    return found
