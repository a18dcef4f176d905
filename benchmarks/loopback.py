"""The simplest fusepy loopback there is, with all timeouts 0: what a user would write in twenty lines."""

from __future__ import annotations

import os
import sys

import fuse


class Loopback(fuse.LoggingMixIn, fuse.Operations):
    """Each operation is the system call on the path below the root."""

    use_ns = True

    def __init__(self, root: str) -> None:
        self.root = root

    def __call__(self, op, path, *args):
        return getattr(self, op)(self.root + path, *args)

    def getattr(self, path, fh=None):
        status = os.lstat(path) if fh is None else os.fstat(fh)
        times = {f"st_{t}time": getattr(status, f"st_{t}time_ns") for t in "amc"}
        keys = ("st_gid", "st_ino", "st_mode", "st_nlink", "st_size", "st_uid", "st_blocks")
        return {key: getattr(status, key) for key in keys} | times

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(path)]

    def create(self, path, mode, fi=None):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(path if fh is None else fh, length)

    def rename(self, old, new):
        os.rename(old, self.root + new)

    def chmod(self, path, mode):
        os.chmod(path, mode)

    def utimens(self, path, times=None):
        os.utime(path, ns=times)

    def statfs(self, path):
        status = os.statvfs(path)
        return {key: getattr(status, key) for key in dir(status) if key.startswith("f_") and key != "f_fsid"}

    def access(self, path, amode):
        return 0

    def init(self, path):
        return None

    def destroy(self, path):
        return None

    def release(self, path, fh):
        os.close(fh)

    open, unlink, rmdir, mkdir = (staticmethod(f) for f in (os.open, os.unlink, os.rmdir, os.mkdir))


if __name__ == "__main__":
    zero = dict.fromkeys(("attr_timeout", "entry_timeout", "negative_timeout", "ac_attr_timeout"), 0)
    fuse.FUSE(Loopback(sys.argv[1]), sys.argv[2], foreground=True, default_permissions=True, **zero)
