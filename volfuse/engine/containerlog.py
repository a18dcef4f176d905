"""The log of a container's output: Docker's `json-file` lines in files that are bounded in size and number.

Files are numbered; a full one is followed by the next, and the oldest is deleted. So a reader that falls behind loses
old lines rather than stopping the program. One thread writes; any thread reads.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from volfuse.core.ports import Clock
from volfuse.engine.streams import STDERR, STDOUT

__all__ = ["ContainerLog", "LogEntry", "LogReader"]

_FILE_BYTES = 16 * 1024 * 1024
_FILES = 2
_LINE_BYTES = 16 * 1024
"""Longer lines are split (moby daemon/logger/copier.go)."""

_BATCH = 256
_BLOCK_BYTES = 64 * 1024
_NAMES = {STDOUT: "stdout", STDERR: "stderr"}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class _Line(msgspec.Struct, frozen=True):
    """A line as it is stored; `log` keeps bytes that are not UTF-8 as U+DC80 and following, escaped."""

    log: str
    stream: str
    time: str


class LogEntry(msgspec.Struct, frozen=True):
    """One line of output, with its end if it has one."""

    stream: int
    time_ns: int
    line: bytes


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Line)


class ContainerLog:
    """The log files of one container, in a directory of their own."""

    def __init__(self, directory: Path, clock: Clock, options: Mapping[str, str]) -> None:
        self._directory = directory
        self._clock = clock
        self._file_bytes = max(_size(options.get("max-size", "")) or _FILE_BYTES, _BLOCK_BYTES)
        self._files = max(_count(options.get("max-file", "")) or _FILES, 1)
        self._lock = threading.Lock()
        self._rest: dict[int, bytes] = {}  # unfinished lines; the writer's thread only
        self._fd = -1  # the writer's thread only
        self._size = 0  # the writer's thread only
        self._number = max(self.numbers(), default=0)  # of the file that is written
        self._listeners: list[Callable[[], None]] = []  # guarded by _lock
        self.writing = False

    def numbers(self) -> list[int]:
        """Return the numbers of the files there are, oldest first."""
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        return sorted(int(name.removesuffix(".json")) for name in names if name.removesuffix(".json").isdecimal())

    def path(self, number: int) -> Path:
        """Return the path of a file."""
        return self._directory / f"{number}.json"

    def open(self) -> None:
        """Begin to write, behind what there is."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._rest.clear()
        self._open_file(max(self._number, 1))
        self.writing = True

    def _open_file(self, number: int) -> None:
        fd = os.open(self.path(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._number, self._size = fd, number, os.fstat(fd).st_size

    def write(self, stream: int, chunk: bytes) -> None:
        """Take output; whole lines are stored, the rest waits for its end.

        The thread serves all programs, and what a program leaves in its pipe can be half a million lines: the time is
        taken once for a chunk.
        """
        moment = _rfc3339(self._clock.now_ns())
        *lines, rest = (self._rest.pop(stream, b"") + chunk).split(b"\n")
        encoded = []
        for line in lines:
            if len(line) < _LINE_BYTES:
                encoded.append(_encode(stream, line + b"\n", moment))
            else:
                encoded.extend(_encode(stream, part, moment) for part in _parts(line + b"\n"))
        if len(rest) >= _LINE_BYTES:
            *parts, rest = _parts(rest)
            encoded.extend(_encode(stream, part, moment) for part in parts)
        if rest:
            self._rest[stream] = rest
        self._store(b"".join(encoded))

    def close(self) -> None:
        """Store what waits and end; readers that follow end too."""
        moment = _rfc3339(self._clock.now_ns())
        self._store(b"".join(_encode(stream, rest, moment) for stream, rest in self._rest.items()))
        self._rest.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self.writing = False
        self._wake()

    def _store(self, encoded: bytes) -> None:
        if not encoded or self._fd < 0:
            return
        view = memoryview(encoded)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:  # a full disk must not stop the program; the log has a hole
            return
        self._size += len(encoded)
        if self._size >= self._file_bytes:
            self._open_file(self._number + 1)
            for number in self.numbers():
                if number <= self._number - self._files:
                    self.path(number).unlink(missing_ok=True)
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for wake in listeners:
            wake()

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` whenever there is more to read, or the end; return what ends that."""
        with self._lock:
            self._listeners.append(wake)

        def stop() -> None:
            with self._lock:
                if wake in self._listeners:
                    self._listeners.remove(wake)

        return stop


class LogReader:
    """Reads a log from a place on; a context manager. Used by one thread at a time.

    Args:
        tail: only so many lines from the end on; None for all.
        since_ns, until_ns: only lines from then on, and before that.
        streams: numbers of the streams that are wanted.
    """

    def __init__(
        self,
        log: ContainerLog,
        *,
        streams: frozenset[int],
        tail: int | None = None,
        since_ns: int = 0,
        until_ns: int | None = None,
    ) -> None:
        self._log = log
        self._streams = streams
        self._since_ns = since_ns
        self._until_ns = until_ns
        self._file_fd = -1
        self._rest = b""
        self._number, self._offset = _tail_place(log, tail) if tail is not None else (min(log.numbers(), default=1), 0)

    def close(self) -> None:
        """Close the file."""
        if self._file_fd >= 0:
            os.close(self._file_fd)
            self._file_fd = -1

    def read(self) -> list[LogEntry] | None:
        """Return the next lines; an empty list if there are none now; `None` past `until`."""
        while True:
            lines = self._lines()
            if lines is None:
                return []
            entries = [_entry(line) for line in lines]
            if self._until_ns is not None and any(e.time_ns > self._until_ns for e in entries):
                entries = [e for e in entries if e.time_ns <= self._until_ns]
                return [e for e in entries if self._wanted(e)] or None
            wanted = [e for e in entries if self._wanted(e)]
            if wanted:
                return wanted

    def _wanted(self, entry: LogEntry) -> bool:
        return entry.stream in self._streams and entry.time_ns >= self._since_ns

    def _lines(self) -> list[bytes] | None:
        """Return whole lines of the files; `None` at the end."""
        while True:
            if self._file_fd < 0 and not self._open_next():
                return None
            block = os.pread(self._file_fd, _BLOCK_BYTES, self._offset)
            if block:
                self._offset += len(block)
                *lines, self._rest = (self._rest + block).split(b"\n")
                if lines:
                    return lines
            elif any(number > self._number for number in self._log.numbers()):
                if os.fstat(self._file_fd).st_size > self._offset:
                    continue
                self.close()
                self._number, self._offset, self._rest = self._number + 1, 0, b""
            else:
                return None

    def _open_next(self) -> bool:
        """Open the file of our number, or the oldest after it."""
        for number in self._log.numbers():
            if number < self._number:
                continue
            try:
                self._file_fd = os.open(self._log.path(number), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:  # just deleted
                continue
            if number != self._number:
                self._number, self._offset = number, 0
            return True
        return False


def _tail_place(log: ContainerLog, count: int) -> tuple[int, int]:
    """Return file and offset behind which there are `count` lines, or where all begins."""
    numbers = log.numbers()
    for number in reversed(numbers):
        try:
            fd = os.open(log.path(number), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            end = position = os.fstat(fd).st_size
            if count == 0:
                return number, end
            while position > 0:
                start = max(position - _BLOCK_BYTES, 0)
                block = os.pread(fd, position - start, start)
                for found in reversed([m.start() for m in re.finditer(b"\n", block)]):
                    if start + found + 1 == end:
                        continue
                    count -= 1
                    if count == 0:
                        return number, start + found + 1
                position = start
            count -= 1 if end else 0
            if count == 0:
                return number, 0
        finally:
            os.close(fd)
    return min(numbers, default=1), 0


def _entry(line: bytes) -> LogEntry:
    stored = _decode(line)
    stream = STDERR if stored.stream == "stderr" else STDOUT
    return LogEntry(stream, _nanoseconds(stored.time), stored.log.encode("utf-8", "surrogateescape"))


def _decode(line: bytes) -> _Line:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        return _decode_escaped(line)


def _escaped(text: str, stream: str, moment: str) -> bytes:
    """Encode a line with bytes that are not UTF-8, which msgspec refuses."""
    import json

    return json.dumps({"log": text, "stream": stream, "time": moment}).encode("ascii") + b"\n"


def _decode_escaped(line: bytes) -> _Line:
    import json

    try:
        return msgspec.convert(json.loads(line), _Line)
    except (ValueError, msgspec.ValidationError):  # cut off by a full disk or a kill
        return _Line("", "stdout", _rfc3339(0))


def _encode(stream: int, line: bytes, moment: str) -> bytes:
    try:
        return _encoder.encode(_Line(line.decode("utf-8"), _NAMES[stream], moment)) + b"\n"
    except UnicodeDecodeError:
        return _escaped(line.decode("utf-8", "surrogateescape"), _NAMES[stream], moment)


def _parts(line: bytes) -> Iterator[bytes]:
    for start in range(0, len(line), _LINE_BYTES):
        yield line[start : start + _LINE_BYTES]


def _rfc3339(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _nanoseconds(text: str) -> int:
    moment = datetime.strptime(text[:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    return int(moment.timestamp()) * 1_000_000_000 + int(text[20:29])


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+)([bkmg]?)b?", text.strip().lower())
    return int(found[1]) * _UNITS[found[2]] if found else 0


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0
