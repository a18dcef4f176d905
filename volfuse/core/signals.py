"""Signals by name or number, as `kill`, `stop` and STOPSIGNAL write them. Numbers are those of x86 and ARM."""

from __future__ import annotations

from volfuse.errors import InvalidSpec

__all__ = ["SIGKILL", "SIGTERM", "parse_signal"]

_NAMES = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
)  # fmt: skip
_ALIASES = {"IOT": 6, "CLD": 17, "POLL": 29, "UNUSED": 31}
_NUMBERS = {name: number for number, name in enumerate(_NAMES, 1)} | _ALIASES
_REALTIME_FIRST, _REALTIME_LAST = 34, 64

SIGKILL = 9
SIGTERM = 15


def parse_signal(text: str) -> int:
    """Return the number of a signal: `9`, `KILL`, `sigkill`, `RTMIN+3`.

    Raises:
        InvalidSpec: there is no such signal.
    """
    if text.isascii() and text.isdecimal():
        number = int(text)
        if 0 < number <= _REALTIME_LAST:
            return number
        raise InvalidSpec(f"invalid signal: {text}")
    name = text.upper().removeprefix("SIG")
    if name in _NUMBERS:
        return _NUMBERS[name]
    for base, sign, origin in (("RTMIN", 1, _REALTIME_FIRST), ("RTMAX", -1, _REALTIME_LAST)):
        rest = name.removeprefix(base)
        if rest == name:
            continue
        offset = rest.lstrip("+-") if rest else "0"
        if offset.isdecimal() and int(offset) <= _REALTIME_LAST - _REALTIME_FIRST:
            return origin + sign * int(offset)
    raise InvalidSpec(f"invalid signal: {text}")
