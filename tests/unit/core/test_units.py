"""Sizes. Expected values: the test table of github.com/docker/go-units (RAMInBytes)."""

from __future__ import annotations

import pytest

from volfuse.core.units import ram_in_bytes
from volfuse.errors import InvalidSpec

K, M, G = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("32", 32),
        ("32b", 32),
        ("32B", 32),
        ("32k", 32 * K),
        ("32K", 32 * K),
        ("32kb", 32 * K),
        ("32Kb", 32 * K),
        ("32Kib", 32 * K),
        ("32KIB", 32 * K),
        ("32Mb", 32 * M),
        ("32Gb", 32 * G),
        ("32Tb", 32 * K * G),
        ("32Pb", 32 * M * G),
        ("32.5kB", int(32.5 * K)),
        ("32.5 kB", int(32.5 * K)),
        ("0.3 K", 307),
        (".3kB", 307),
        ("0.", 0),
        ("0b", 0),
    ],
)
def test_valid(text: str, expected: int) -> None:

    assert ram_in_bytes(text) == expected


@pytest.mark.parametrize(
    "text", ["", "hello", ".", "-32", "-32b", "32bb", "32mbb", "32m b", "32bm", "1/2 kb", "32   mb"]
)
def test_invalid(text: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        ram_in_bytes(text)
    assert str(error.value) == f"invalid size: '{text}'"
