"""FICLONE: make one file share the blocks of another, where the file system can (btrfs, xfs, bcachefs)."""

from __future__ import annotations

import errno
import fcntl

__all__ = ["clone_file"]

_FICLONE = 0x40049409
"""`_IOW(0x94, 9, int)`, include/uapi/linux/fs.h."""

_CANNOT = frozenset({errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS})


def clone_file(source_fd: int, target_fd: int) -> bool:
    """Let the target share all blocks of the source.

    Returns:
        bool: False where this pair of files cannot be cloned (another file system, or one without the feature).

    Raises:
        OSError: any other failure, such as ENOSPC.

    Source: ioctl_ficlone(2).
    """
    try:
        fcntl.ioctl(target_fd, _FICLONE, source_fd)
    except OSError as exc:
        if exc.errno in _CANNOT:
            return False
        raise
    return True
