"""Who watches what: the inotify watches of this mount, from /proc/PID/fdinfo.

The kernel tells nobody that a watch was set. But who sets one has looked a name up or opened something just before, so
the thread ids of such requests say whom to look at, soon after and then more rarely. Whoever needed to ask for nothing
is found by going through all processes every few seconds, a little at each tick.

A line of fdinfo says the watch's file system, its mask, and in `f_handle` the node id: so it is known which directory
of which view is meant. Source: fs/notify/fdinfo.c, inotify_fdinfo; fs/fuse/export.c, fuse_encode_fh.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

__all__ = ["Watchers", "parse_fdinfo"]

_LINE: Final = re.compile(
    rb"inotify wd:[0-9a-f]+ ino:[0-9a-f]+ sdev:([0-9a-f]+) mask:([0-9a-f]+) .*f_handle:([0-9a-f]+)"
)
_FIRST_S: Final = 0.005
_MOST_S: Final = 0.64
_SLOWER: Final = 4
_AGAIN_S: Final = 0.1
"""After which a request of somebody known is a reason to look soon again."""
_LIST_S: Final = 0.1
_LOOK_S: Final = 0.0004
_SCAN_S: Final = 0.0002
"""Time that one tick may take to look at those who have asked for something, and for going through all."""
_ROUND_S: Final = 5.0
"""How often a round through all processes begins; one takes tens of milliseconds of a processor."""
_FEW: Final = 32


class _Process:
    """A process, or a thread of one, that may watch something.

    Attributes:
        due_s: when it is looked at next; after it, the gap to the time after that.
        asked_s: when it asked for something last.
        listed_s: when its descriptors were gone through last.
        fds: its inotify descriptors, with what fdinfo said of each.
        watches: events that are wanted by node id.
    """

    __slots__ = ("asked_s", "due_s", "fds", "gap_s", "listed_s", "watches")

    def __init__(self, now_s: float) -> None:
        self.asked_s = now_s
        self.due_s = now_s + _FIRST_S
        self.gap_s = _FIRST_S
        self.listed_s = 0.0
        self.fds: dict[str, bytes] = {}
        self.watches: dict[int, int] = {}


class Watchers:
    """Finds who watches something, and what.

    Args:
        device: of the mount, as fdinfo shows it: the minor of st_dev, FUSE having no major number.
    """

    def __init__(self, device: int, proc: str = "/proc") -> None:
        self._device = device
        self._proc = proc
        self._processes: dict[int, _Process] = {}
        self._round: Iterator[None] = iter(())
        self._round_began_s = -_ROUND_S
        self._whole_s = 0.0  # when the last round that is finished began
        self._watches: dict[int, int] = {}

    def asked(self, threads: Iterable[int], now_s: float) -> None:
        """Note who has asked for something since the last tick."""
        for thread in threads:
            process = self._processes.get(thread)
            if process is None:
                self._processes[thread] = _Process(now_s)
            else:
                if process.fds or now_s - process.asked_s > _AGAIN_S:
                    process.due_s, process.gap_s = min(process.due_s, now_s + _FIRST_S), _FIRST_S
                process.asked_s = now_s

    def look(self, now_s: float) -> None:
        """Look at those whose time has come, and go on with the round through all."""
        end_s = time.perf_counter() + _LOOK_S
        for number, process in list(self._processes.items()):
            if process.due_s <= now_s:
                self._look_at(number, process, now_s)
                if time.perf_counter() > end_s:
                    break
        end_s = time.perf_counter() + _SCAN_S
        while time.perf_counter() < end_s:
            if next(self._round, self) is self:
                self._whole_s = self._round_began_s
                if now_s - self._round_began_s >= _ROUND_S:
                    self._round_began_s = now_s
                    self._round = self._go_round(now_s)
                break

    def rested(self, since_s: float) -> bool:
        """Say whether all processes have been gone through since a time."""
        return self._whole_s > since_s

    def watches(self) -> Mapping[int, int]:
        """Return what is watched: events that are wanted, by node id."""
        watches: dict[int, int] = {}
        for process in self._processes.values():
            for node, mask in process.watches.items():
                watches[node] = watches.get(node, 0) | mask
        return watches

    def _look_at(self, number: int, process: _Process, now_s: float) -> None:
        """Read what a process watches; one that is gone, or has nothing to do with it, is forgotten."""
        if not process.fds or now_s - process.listed_s >= _LIST_S:
            process.listed_s = now_s
            fds = self._inotify_fds(number)
            if process.fds.keys() - set(fds or ()):  # some are closed
                process.watches = {}
                process.fds = {}
            process.fds = {fd: process.fds.get(fd, b"") for fd in fds or ()}
            if fds is None or (not fds and now_s - process.asked_s > _MOST_S):
                del self._processes[number]
                return
        self._read(number, process)
        process.gap_s = min(process.gap_s * _SLOWER, _MOST_S)
        process.due_s = now_s + process.gap_s

    def _read(self, number: int, process: _Process) -> None:
        changed = not process.fds
        for fd, before in list(process.fds.items()):
            try:
                with open(f"{self._proc}/{number}/fdinfo/{fd}", "rb") as file:
                    content = file.read()
            except OSError:  # it is closed, or the process is gone
                content = b""
                del process.fds[fd]
            else:
                process.fds[fd] = content
            changed = changed or content != before
        if changed:
            process.watches = {}
            for content in process.fds.values():
                for node, mask in parse_fdinfo(content, self._device):
                    process.watches[node] = process.watches.get(node, 0) | mask

    def _inotify_fds(self, number: int) -> list[str] | None:
        """Return the inotify descriptors of a process; None if it is gone."""
        try:
            return [fd for fd in self._fds(number) if fd]
        except PermissionError:  # somebody else's, where the daemon is not root's
            return []
        except OSError:
            return None

    def _fds(self, number: int) -> Iterator[str]:
        """Return the inotify descriptors of a process, and an empty string from time to time."""
        for at, fd in enumerate(os.listdir(f"{self._proc}/{number}/fd")):
            try:
                if os.readlink(f"{self._proc}/{number}/fd/{fd}") == "anon_inode:inotify":
                    yield fd
            except FileNotFoundError:  # closed meanwhile
                continue
            if at % _FEW == _FEW - 1:
                yield ""

    def _go_round(self, now_s: float) -> Iterator[None]:
        """Go through all processes that are not known yet."""
        own = os.getpid()
        for entry in os.listdir(self._proc):
            number = int(entry) if entry.isdigit() else own
            if number == own or number in self._processes:
                continue
            found = []
            try:
                for fd in self._fds(number):
                    found.append(fd)
                    yield
            except OSError:  # gone, or somebody else's
                pass
            process = _Process(now_s)
            process.fds = {fd: b"" for fd in found if fd}
            if process.fds:
                self._read(number, process)
            if process.watches:
                self._processes[number] = process
            yield


def parse_fdinfo(content: bytes, device: int) -> list[tuple[int, int]]:
    """Return node id and mask of the watches of one file system, of a descriptor's fdinfo."""
    found = []
    for sdev, mask, handle in _LINE.findall(content):
        if int(sdev, 16) == device and len(handle) >= 16:
            words = bytes.fromhex(handle[:16].decode())
            high, low = (int.from_bytes(words[at : at + 4], "little") for at in (0, 4))
            found.append((high << 32 | low, int(mask, 16)))
    return found
