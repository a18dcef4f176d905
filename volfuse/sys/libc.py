"""The C library through ctypes, and errno turned into OSError.

Calls through `LIBC` release the GIL and keep errno apart for each thread (`use_errno`). Unlike the functions of `os`
they are not repeated after EINTR.
"""

from __future__ import annotations

import ctypes
import os

__all__ = ["LIBC", "failed"]

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


def failed(filename: bytes | None = None, filename2: bytes | None = None) -> OSError:
    """Return the error of the call through `LIBC` that this thread made last."""
    number = ctypes.get_errno()
    if filename2 is not None:
        return OSError(number, os.strerror(number), filename, None, filename2)
    return OSError(number, os.strerror(number), filename)
