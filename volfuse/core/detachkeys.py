"""Detach keys: how they are written, and finding them in what a terminal sends.

Source: docker-semantics 5.5; github.com/moby/term ascii.go and proxy.go.
"""

from __future__ import annotations

from volfuse.errors import InvalidSpec

__all__ = ["DEFAULT_DETACH_KEYS", "DetachFilter", "parse_detach_keys"]

DEFAULT_DETACH_KEYS = b"\x10\x11"
"""ctrl-p, ctrl-q."""

_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_detach_keys(text: str) -> bytes:
    """Return the bytes of a key sequence: `ctrl-p,ctrl-q`, `a`, `ctrl-a,d`; the default for an empty text.

    Raises:
        InvalidSpec: an unknown key.
    """
    if not text:
        return DEFAULT_DETACH_KEYS
    return bytes(_code(key, text) for key in text.split(","))


def _code(key: str, text: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    letter = key.lower().removeprefix("ctrl-")
    if letter != key.lower() and len(letter) == 1:
        if "a" <= letter <= "z":
            return ord(letter) - ord("a") + 1
        if letter in _CONTROL:
            return _CONTROL[letter]
    if key.upper() == "DEL":
        return 127
    raise InvalidSpec(f"Invalid detach keys ({text}) provided: Unknown character: '{key}'")


class DetachFilter:
    """Passes input on until the keys come; a beginning of the sequence is held back until the next byte decides."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, chunk: bytes) -> tuple[bytes, bool]:
        """Return what is to be passed on, and whether the keys have come (what follows them is dropped)."""
        if self._matched == 0 and self._keys[:1] not in chunk:
            return chunk, False
        passed = bytearray()
        for byte in chunk:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(passed), True
                continue
            passed += self._keys[: self._matched]
            self._matched = 0
            if byte == self._keys[0] and len(self._keys) > 1:
                self._matched = 1
            else:
                passed.append(byte)
        return bytes(passed), False
