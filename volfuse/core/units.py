"""Sizes as Docker's command line takes them: `64m`, `1.5GiB`, `1024`.

Source: github.com/docker/go-units, RAMInBytes: powers of 1024 whatever the suffix says.
"""

from __future__ import annotations

import re

from volfuse.errors import InvalidSpec

__all__ = ["ram_in_bytes"]

_SIZE = re.compile(r"(\d+\.?\d*|\.\d+) ?(?:b|([kmgtp])(?:i?b)?)?\Z", re.IGNORECASE | re.ASCII)


def ram_in_bytes(text: str) -> int:
    """Return the bytes that a size means; a fraction of a byte is dropped.

    Raises:
        InvalidSpec: not a number with an optional unit.
    """
    found = _SIZE.match(text)
    if not found:
        raise InvalidSpec(f"invalid size: '{text}'")
    number, unit = found.groups()
    return int(float(number) * 1024 ** ("kmgtp".index(unit.lower()) + 1 if unit else 0))
