"""The user's terminal: whether there is one, its size, and its raw mode.

Source: github.com/moby/term, makeRaw (cfmakeraw(3) without changes to parity checking).
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from volfuse.cli.failure import CommandFailed
from volfuse.cli.jsontypes import Json

__all__ = ["check_terminal", "is_terminal", "raw_mode", "window_size"]

_INPUT_OFF = (
    termios.IGNBRK
    | termios.BRKINT
    | termios.PARMRK
    | termios.ISTRIP
    | termios.INLCR
    | termios.IGNCR
    | termios.ICRNL
    | termios.IXON
)
_LOCAL_OFF = termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a standard stream is open and a terminal."""
    return stream is not None and stream.isatty()


def check_terminal(*, stdin: bool, tty: bool) -> None:
    """Refuse to feed a container's terminal from what is none.

    Raises:
        CommandFailed: standard input is no terminal.
    """
    if tty and stdin and not is_terminal(sys.stdin):
        raise CommandFailed("the input device is not a TTY")


def window_size() -> tuple[int, int]:
    """Return height and width of the terminal that standard output is, (0, 0) if it is none."""
    if not is_terminal(sys.stdout):
        return 0, 0
    size = os.get_terminal_size(sys.stdout.fileno())
    return size.lines, size.columns


@contextmanager
def raw_mode(fd: int) -> Iterator[None]:
    """Pass every key on as it is typed; the terminal is as before when the block ends, however it does."""
    before = termios.tcgetattr(fd)
    try:
        termios.tcsetattr(fd, termios.TCSANOW, _raw(termios.tcgetattr(fd)))
        yield
    finally:
        _restore(fd, before)


def _raw(attributes: list[Json]) -> list[Json]:
    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = attributes
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    return [
        iflag & ~_INPUT_OFF,
        oflag & ~termios.OPOST,
        cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8,
        lflag & ~_LOCAL_OFF,
        ispeed,
        ospeed,
        characters,
    ]


def _restore(fd: int, attributes: list[Json]) -> None:
    """Set a mode, not interrupted by signals, nor stopped for being in the background (SIGTTOU, tcsetattr(3))."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        termios.tcsetattr(fd, termios.TCSANOW, attributes)
    except termios.error as fault:
        if fault.args[0] != errno.EIO:  # hung up: nothing is left to restore
            raise OSError(*fault.args) from fault
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
