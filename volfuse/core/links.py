"""Following symbolic links by hand, inside a root that they cannot leave."""

from __future__ import annotations

import errno
from collections.abc import Callable

__all__ = ["MAX_LINKS", "follow_links"]

MAX_LINKS = 40
"""Links that Linux follows in one path (MAXSYMLINKS)."""

Components = tuple[bytes, ...]


def follow_links(path: bytes, readlink: Callable[[Components], bytes | None]) -> Components:
    """Return the components of a path with all links followed, the last one too.

    `..` at the root stays there, absolute targets start at the root, and what does not exist is taken as it is
    written: the result never leads out.

    Args:
        path: absolute path inside the root.
        readlink: tells the target of a link by its components from the root, `None` for anything but a link.

    Raises:
        OSError: ELOOP, too many links.
    """
    done: list[bytes] = []
    pending = list(reversed(path.split(b"/")))
    followed = 0
    while pending:
        match pending.pop():
            case b"" | b".":
                pass
            case b"..":
                del done[-1:]
            case name:
                target = readlink((*done, name))
                if target is None:
                    done.append(name)
                    continue
                followed += 1
                if followed > MAX_LINKS:
                    raise OSError(errno.ELOOP, "too many levels of symbolic links", path)
                if target.startswith(b"/"):
                    done.clear()
                pending.extend(reversed(target.split(b"/")))
    return tuple(done)
