"""Trees and archives for tests: what a tree looks like, tars entry by entry, acting as an ordinary user."""

from __future__ import annotations

import ctypes
import hashlib
import io
import json
import os
import stat
import sys
import tarfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "NOBODY",
    "as_nobody",
    "directory",
    "directory_fd",
    "docker_archive",
    "entry",
    "file",
    "link",
    "oci_archive",
    "sha256",
    "symlink",
    "tar_of",
    "tree",
]

NOBODY = 65534
_PR_SET_DUMPABLE = 4

TarEntry = tuple[tarfile.TarInfo, bytes]


@contextmanager
def directory_fd(path: Path) -> Iterator[int]:
    """Open a directory."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def tree(root: Path, *, owners: bool = True, directory_times: bool = True) -> dict[str, dict[str, Any]]:
    """Return all that stat, readlink, listxattr and read say of a tree; hard links by their first name."""
    found: dict[str, dict[str, Any]] = {}
    first: dict[tuple[int, int], str] = {}
    paths = [str(root), *sorted(os.path.join(d, n) for d, ds, fs in os.walk(root) for n in [*ds, *fs])]
    for path in paths:
        status = os.lstat(path)
        kind = stat.S_IFMT(status.st_mode)
        name = os.path.relpath(path, root)
        about: dict[str, Any] = {"mode": oct(status.st_mode), "xattrs": _xattrs(path)}
        if owners:
            about["owner"] = (status.st_uid, status.st_gid)
        if kind != stat.S_IFDIR or directory_times:
            about["mtime"] = status.st_mtime_ns
        if kind == stat.S_IFREG:
            about["sha256"] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            about["same as"] = first.setdefault((status.st_dev, status.st_ino), name)
        elif kind == stat.S_IFLNK:
            about["target"] = os.readlink(path)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            about["device"] = status.st_rdev
        found[name] = about
    return found


def _xattrs(path: str) -> dict[str, bytes]:
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)}


def as_nobody(action: Callable[[], None]) -> None:
    """Run an action as an ordinary user: as root in a child that has become `nobody`, else right here."""
    if os.geteuid() != 0:
        action()
        return
    sys.stdout.flush()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read_end)
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self/fd stays root's
            action()
            code = 0
        except BaseException:  # noqa: BLE001 - reported to the parent
            os.write(write_end, traceback.format_exc().encode()[-60000:])
        finally:
            os._exit(code)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as report:
        text = report.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, text


def entry(name: str, type_: bytes, content: bytes = b"", **fields: object) -> TarEntry:
    """Return one entry of a tar."""
    info = tarfile.TarInfo(name)
    info.type = type_
    info.size = len(content)
    info.mtime = 1_600_000_000
    info.mode = 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def file(name: str, content: bytes = b"content", **fields: object) -> TarEntry:
    """Return a regular file."""
    return entry(name, tarfile.REGTYPE, content, **fields)


def directory(name: str, mode: int = 0o755, **fields: object) -> TarEntry:
    """Return a directory."""
    return entry(name, tarfile.DIRTYPE, mode=mode, **fields)


def symlink(name: str, target: str, **fields: object) -> TarEntry:
    """Return a symbolic link."""
    return entry(name, tarfile.SYMTYPE, linkname=target, **fields)


def link(name: str, target: str) -> TarEntry:
    """Return a hard link."""
    return entry(name, tarfile.LNKTYPE, linkname=target)


def tar_of(*entries: TarEntry, format_: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar of entries, in their order."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=format_, errors="surrogateescape") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content) if content else None)
    return target.getvalue()


def sha256(content: bytes) -> str:
    """Return a digest as Docker writes it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def config_json(layers: Sequence[bytes], **config: object) -> bytes:
    """Return a config file for uncompressed layers."""
    return json.dumps(
        {
            "created": "2024-02-03T04:05:06.123456789Z",
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": None, **config},
            "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
            "history": [{"created": "2024-02-03T04:05:06Z", "created_by": "ADD x", "empty_layer": False}],
        }
    ).encode()


def docker_archive(layers: Sequence[bytes], tags: Sequence[str] | None, **config: object) -> bytes:
    """Return what `docker save` wrote before it wrote OCI layouts."""
    text = config_json(layers, **config)
    config_name = hashlib.sha256(text).hexdigest() + ".json"
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": config_name, "RepoTags": tags, "Layers": names}]
    return tar_of(
        *(file(name, layer) for name, layer in zip(names, layers, strict=True)),
        file(config_name, text),
        file("manifest.json", json.dumps(manifest).encode()),
    )


def oci_archive(
    layers: Sequence[bytes],
    *,
    compress: Callable[[bytes], bytes] = bytes,
    annotations: dict[str, str] | None = None,
    platforms: Sequence[str] = (),
    corrupt: bool = False,
) -> bytes:
    """Return an OCI layout; with `platforms` an index of one manifest each, all for the same layers."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes) -> dict[str, Any]:
        blobs[sha256(content)] = content
        return {"digest": sha256(content), "size": len(content), "mediaType": "application/octet-stream"}

    manifest = {
        "schemaVersion": 2,
        "config": blob(config_json(layers)),
        "layers": [blob(compress(layer)) for layer in layers],
    }
    top = blob(json.dumps(manifest).encode())
    if platforms:
        manifests = [{**top, "platform": {"os": "linux", "architecture": name}} for name in platforms]
        top = blob(json.dumps({"manifests": manifests}).encode())
        top["mediaType"] = "application/vnd.oci.image.index.v1+json"
    index = {"schemaVersion": 2, "manifests": [{**top, "annotations": annotations or {}}]}
    if corrupt:
        last = list(blobs)[1]
        blobs[last] = blobs[last][:-1] + b"!"
    return tar_of(
        file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
        file("index.json", json.dumps(index).encode()),
        *(file("blobs/" + digest.replace(":", "/"), content) for digest, content in blobs.items()),
    )
