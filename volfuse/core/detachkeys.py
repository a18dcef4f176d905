"""The keys that let go of a container's terminal: their syntax, and finding them in what is typed.

The first keys of the sequence are held back until the next one decides. A key that breaks the sequence is not looked
at again as its beginning: ctrl-p ctrl-p ctrl-q does not detach. So does Docker, whose daemon looks for the keys too.

Source: github.com/moby/term, ascii.go and proxy.go.
"""

from __future__ import annotations

from volfuse.errors import InvalidSpec

__all__ = ["DEFAULT_KEYS", "KeyWatch", "parse_keys"]

DEFAULT_KEYS = b"\x10\x11"
"""ctrl-p ctrl-q."""

_CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"
_NAMED = {f"ctrl-{letter}": code for code, letter in enumerate(_CONTROL)} | {"DEL": 127}


def parse_keys(text: str) -> bytes:
    """Return the bytes of keys written as `ctrl-p,ctrl-q` or `a,b`.

    Raises:
        InvalidSpec: a key is neither one character nor `ctrl-` and a letter or one of `@[\\]^_`.
    """
    return b"".join(map(_key, text.split(",")))


def _key(name: str) -> bytes:
    if name in _NAMED:
        return bytes([_NAMED[name]])
    if len(name) == 1:
        return name.encode()
    raise InvalidSpec(f"Unknown character: '{name}'")


class KeyWatch:
    """Looks for the sequence in a stream of bytes.

    Args:
        keys: at least one.
    """

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """Return what may be passed on, and whether the sequence is complete; what follows it is dropped."""
        if not self._matched and self._keys[0] not in typed:
            return typed, False
        passed = bytearray()
        for byte in typed:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(passed), True
                continue
            passed += self._keys[: self._matched]
            passed.append(byte)
            self._matched = 0
        return bytes(passed), False
