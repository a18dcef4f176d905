"""Files that are unlinked while open: how libfuse's renaming of them is kept from the source.

Instead of unlinking a file that is open, libfuse renames it to `.fuse_hiddenXXXXXXXXYYYYYYYY` in its directory and
unlinks that when the last handle is closed; it needs a path for later requests, since fstat(2) arrives as a request by
path. Such names must not show in a volume. So the rename becomes what the program meant, an unlink, and the hidden
path a *ghost*: a descriptor of the file that answers for that path.

libfuse also hides the target of a rename, *before* it asks for the rename. Unlinking the target then would leave a
moment without any file, and lose it if the rename fails (EXDEV). In that case the target is left where it is and only
the ghost is made; the rename that follows replaces it in one step. Which of the two it is can be told only by the
system call that the program is in, which the kernel shows in /proc/TID/syscall. Where that cannot be read (a caller in
a pid namespace out of sight, io_uring), the file is unlinked.

Hidden names are never used twice in one mount, so ghosts are found by name alone, wherever the directory is moved.
"""

from __future__ import annotations

import os
import platform
import re
import threading

from volfuse.fs.view import Mount

__all__ = ["Ghost", "GhostTable", "caller_renames"]

_HIDDEN = re.compile(rb"\.fuse_hidden[0-9a-f]{16}\Z")

_RENAMES = {
    # rename, renameat, renameat2; then those of 32-bit programs. arch/x86/entry/syscalls/syscall_{64,32}.tbl
    "x86_64": frozenset({82, 264, 316, 38, 302, 353}),
    # renameat, renameat2 (include/uapi/asm-generic/unistd.h); then rename, renameat, renameat2 of arm
    "aarch64": frozenset({38, 276, 329, 382}),
    "armv7l": frozenset({38, 329, 382}),
    "i686": frozenset({38, 302, 353}),
    "ppc64le": frozenset({38, 293, 357}),
    "s390x": frozenset({38, 295, 347}),
}
_GENERIC = frozenset({38, 276})


class Ghost:
    """A file that has lost its name in the view.

    Attributes:
        fd: O_PATH; closed with the last reference, as a request may be using it.
        identity: device and inode number in the source.
    """

    __slots__ = ("fd", "identity", "mount")

    def __init__(self, mount: Mount, fd: int) -> None:
        self.fd = fd
        self.mount = mount
        status = os.fstat(fd)
        self.identity = (status.st_dev, status.st_ino)

    def __del__(self) -> None:
        os.close(self.fd)


class GhostTable:
    """Ghosts by hidden name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ghosts: dict[bytes, Ghost] = {}  # guarded by self._lock

    def __len__(self) -> int:
        return len(self._ghosts)

    def get(self, path: bytes) -> Ghost | None:
        """Return the ghost that answers for `path`."""
        if not self._ghosts or b"/.fuse_hidden" not in path:
            return None
        return self._ghosts.get(path.rpartition(b"/")[2])

    def is_hiding(self, old: bytes, new: bytes) -> bool:
        """Say whether libfuse asks to hide `old`: a rename within a directory to a name of its own making."""
        directory, _, name = new.rpartition(b"/")
        return _HIDDEN.match(name) is not None and old.rpartition(b"/")[0] == directory

    def add(self, path: bytes, mount: Mount, fd: int) -> None:
        """Let `fd`, which is taken, answer for `path`."""
        ghost = Ghost(mount, fd)
        with self._lock:
            self._ghosts[path.rpartition(b"/")[2]] = ghost

    def drop(self, path: bytes) -> bool:
        """Forget the ghost of `path`; return whether there was one."""
        with self._lock:
            return self._ghosts.pop(path.rpartition(b"/")[2], None) is not None

    def drop_file(self, identity: tuple[int, int]) -> None:
        """Forget the ghosts of a file whose last handle is closed.

        libfuse forgets to, when the directory was removed meanwhile.
        """
        with self._lock:
            for name in [name for name, ghost in self._ghosts.items() if ghost.identity == identity]:
                del self._ghosts[name]

    def drop_all(self) -> None:
        """Forget all ghosts."""
        with self._lock:
            self._ghosts.clear()


def caller_renames(tid: int) -> bool:
    """Say whether thread `tid` is in a rename call, rather than in unlink or unlinkat."""
    try:
        with open(f"/proc/{tid}/syscall", "rb") as file:
            number = int(file.read().split(b" ", 1)[0])
    except (OSError, ValueError):
        return False
    return number in _RENAMES.get(platform.machine(), _GENERIC)
