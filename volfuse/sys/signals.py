"""sigaction from any thread: `signal.signal` works in the main one only."""

from __future__ import annotations

import ctypes

from volfuse.sys.libc import LIBC, failed

__all__ = ["set_default_action"]

_SIG_DFL = None
_SIG_ERR = ctypes.c_void_p(-1).value

_SIGNAL = LIBC["signal"]
_SIGNAL.argtypes = [ctypes.c_int, ctypes.c_void_p]
_SIGNAL.restype = ctypes.c_void_p


def set_default_action(number: int) -> None:
    """Give a signal that Python has no handler for its default action again."""
    if _SIGNAL(number, _SIG_DFL) == _SIG_ERR:
        raise failed()
