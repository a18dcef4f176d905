"""fusermount: how an ordinary user unmounts, and what fuse.conf lets one do.

Source: libfuse, doc/fusermount3.1, util/fuse.conf.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Final

__all__ = ["unmount_as_user", "user_allow_other"]

_NAMES: Final = ("fusermount3", "fusermount")
_DEADLINE_S: Final = 30.0


def unmount_as_user(mountpoint: bytes, *, lazy: bool = False) -> bool:
    """Unmount what this user has mounted; return whether it could be done.

    Args:
        lazy: also while it is in use.
    """
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        return False
    command = [program, "-u", "-q", *(["-z"] if lazy else []), "--", os.fsdecode(mountpoint)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_DEADLINE_S, check=False)
    return done.returncode == 0


def user_allow_other(path: str = "/etc/fuse.conf") -> bool:
    """Say whether ordinary users may let other users into their mounts."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return any(line.strip() == "user_allow_other" for line in file)
    except OSError:
        return False
