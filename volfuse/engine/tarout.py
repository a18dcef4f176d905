"""Files of a view as a tar stream, made while it is read: memory does not grow with the tree.

Names are any bytes, times keep their nanoseconds (pax), a file with several names is sent once. Sockets have no place
in a tar and are left out, as is what vanishes meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tarfile
from collections.abc import Iterator

from volfuse.archives.reader import XATTR_HEADER
from volfuse.engine.viewpath import join
from volfuse.fs import paths as places
from volfuse.fs.view import View
from volfuse.sys.owned import owned

__all__ = ["is_portable", "tar_of"]

_CHUNK_BYTES = 1 << 20
_NS = 10**9
_END = bytes(2 * tarfile.BLOCKSIZE)
_XATTRS = ("user.", "security.capability", "system.posix_acl_")
_OVERLAY = "user.overlay."

_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
"""Gone, or something else has taken its place; known before anything of the file is sent."""

_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


def tar_of(view: View, path: bytes, name: bytes) -> Iterator[bytes]:
    """Yield a tar of a file, or of a directory with all below it.

    Args:
        path: in the view, without links.
        name: what the archive calls it; empty for the root of the view, whose files are sent with a leading slash.

    Raises:
        OSError: something cannot be read; what was yielded till then is no whole archive.
    """
    first_names: dict[tuple[int, int, int], bytes] = {}
    pending = [(path, name)]
    while pending:
        path, name = pending.pop()
        try:
            status = places.getattr(view.locate(path)).status
            yield from _entry(view, path, name, status, first_names)
            if stat.S_ISDIR(status.st_mode):
                below = sorted(_names(view, path), reverse=True)
                pending += [(join(path, child), name + b"/" + child) for child in below]
        except OSError as exc:
            if exc.errno not in _VANISHED:
                raise
    yield _END


def _entry(
    view: View, path: bytes, name: bytes, status: os.stat_result, first_names: dict[tuple[int, int, int], bytes]
) -> Iterator[bytes]:
    if stat.S_IFMT(status.st_mode) not in _TYPES:
        return
    info = _header(view, path, name, status)
    key = (id(view.locate(path).mount), status.st_dev, status.st_ino)
    if key in first_names:
        info.type, info.linkname = tarfile.LNKTYPE, _text(first_names[key])
    if info.isreg():
        yield from _file(view, path, info)
    else:
        yield _encoded(info)
    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
        first_names.setdefault(key, name)


def _header(view: View, path: bytes, name: bytes, status: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(_text(name))
    info.type = _TYPES[stat.S_IFMT(status.st_mode)]
    info.mode = stat.S_IMODE(status.st_mode)
    info.uid, info.gid = status.st_uid, status.st_gid
    info.mtime = status.st_mtime_ns // _NS
    headers = {f"{XATTR_HEADER}{key}": _text(value) for key, value in _xattrs(view, path)}
    if status.st_mtime_ns % _NS:
        headers["mtime"] = _decimal(status.st_mtime_ns)
    info.pax_headers = headers
    if info.issym():
        info.linkname = _text(places.readlink(view.locate(path)))
    elif info.ischr() or info.isblk():
        info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return info


def _file(view: View, path: bytes, info: tarfile.TarInfo) -> Iterator[bytes]:
    """Yield header and content; a file that shrinks meanwhile is filled up with zeros, as GNU tar does."""
    with owned(places.open_file(view.locate(path), os.O_RDONLY).fd) as fd:
        info.size = left = os.fstat(fd).st_size
        yield _encoded(info)
        while left:
            chunk = os.read(fd, min(left, _CHUNK_BYTES)) or bytes(min(left, _CHUNK_BYTES))
            left -= len(chunk)
            yield chunk
    if info.size % tarfile.BLOCKSIZE:
        yield bytes(-info.size % tarfile.BLOCKSIZE)


def _names(view: View, path: bytes) -> list[bytes]:
    handle = places.open_directory(view.locate(path))
    try:
        return [entry.name for entry in handle.entries() if entry.name not in (b".", b"..")]
    finally:
        handle.close()


def _xattrs(view: View, path: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the portable attributes."""
    place = view.locate(path)
    try:
        found = places.listxattr(place)
    except OSError:  # the file system has none, or it is a link without any
        return
    for attribute in map(os.fsdecode, found):
        if is_portable(attribute) and "=" not in attribute:
            with contextlib.suppress(OSError):
                yield attribute, places.getxattr(place, os.fsencode(attribute))


def is_portable(attribute: str) -> bool:
    """Tell whether an attribute means the same elsewhere, and so goes with a copy."""
    return attribute.startswith(_XATTRS) and not attribute.startswith(_OVERLAY)


def _encoded(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _decimal(time_ns: int) -> str:
    sign, absolute = ("-", -time_ns) if time_ns < 0 else ("", time_ns)
    return f"{sign}{absolute // _NS}.{absolute % _NS:09}"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
