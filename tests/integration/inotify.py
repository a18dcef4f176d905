"""A program that watches directories with inotify, as tests need it."""

from __future__ import annotations

import ctypes
import os
import select
import time
from pathlib import Path

from volfuse.core.watching import What
from volfuse.sys import inotify

__all__ = ["CHANGES", "DEADLINE_S", "Inotify", "apart"]

DEADLINE_S = 20.0
_LIBC = ctypes.CDLL(None, use_errno=True)

CHANGES = (
    What.MODIFY | What.ATTRIB | What.CLOSE_WRITE | What.MOVED_FROM | What.MOVED_TO | What.CREATE | What.DELETE
)  # fmt: skip


class Inotify:
    """An instance, and what it has heard: `LABEL WHAT NAME`, with a number for each pair of a rename."""

    def __init__(self) -> None:
        self.fd = inotify.open_instance()
        self._labels: dict[int, str] = {}
        self._cookies: dict[int, int] = {}

    def watch(self, path: Path, label: str, mask: int = CHANGES) -> None:
        """Watch a file or directory."""
        wd = _LIBC.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(mask))
        if wd < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", path)
        self._labels[wd] = label

    def ready(self) -> list[str]:
        """Return what is there."""
        try:
            data = os.read(self.fd, 1 << 20)
        except BlockingIOError:
            return []
        return [self._text(*event) for event in inotify.events(bytearray(data), len(data))]

    def until(self, last: str, timeout_s: float = DEADLINE_S) -> list[str]:
        """Return what is heard up to an event, which must come."""
        found: list[str] = []
        end_s = time.monotonic() + timeout_s
        while not any(event == last for event in found):
            left_s = end_s - time.monotonic()
            if left_s <= 0 or not select.select([self.fd], [], [], left_s)[0]:
                raise AssertionError(f"{last!r} did not come after {found[-40:]}")
            found += self.ready()
        return found

    def close(self) -> None:
        """End it."""
        os.close(self.fd)

    def _text(self, wd: int, mask: int, cookie: int, name: bytes) -> str:
        bits = "|".join(bit.name or "" for bit in What if mask & bit)
        words = [self._labels.get(wd, "?"), bits, os.fsdecode(name)]
        if cookie:
            words.append(f"#{self._cookies.setdefault(cookie, len(self._cookies))}")
        return " ".join(word for word in words if word)


def apart(events: list[str]) -> list[str]:
    """Return events without those that repeat the one before."""
    return [event for at, event in enumerate(events) if at == 0 or events[at - 1] != event]
