"""Importing a tar: the tree is what GNU tar makes of it, and the id is that of its content."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.images.support import (
    NOBODY,
    as_nobody,
    directory,
    entry,
    file,
    link,
    sha256,
    symlink,
    tar_of,
    tree,
)
from volfuse.core.model import Image
from volfuse.core.wire import Config
from volfuse.engine.ports import BuiltImage
from volfuse.images.builder import ArchiveImageBuilder

pytestmark = pytest.mark.usefixtures("open_descriptors")

_BUILDER = ArchiveImageBuilder(machine="x86_64")


def _import(archive: bytes, staging: Path, *changes: str) -> BuiltImage:
    return _BUILDER.import_tar(
        io.BytesIO(archive), staging, changes=changes, message="m", created_ns=1_700_000_000 * 10**9
    )


def _gnu_tar(archive: bytes, target: Path) -> Path:
    target.mkdir()
    options = ["--xattrs", "--xattrs-include=*", "--same-permissions", "--numeric-owner"]
    subprocess.run(["tar", "-x", *options, "-C", target, "-f", "-"], input=archive, check=True)
    return target


_OWNER = {"uid": 1000, "gid": 1001} if os.geteuid() == 0 else {"uid": os.geteuid(), "gid": os.getegid()}

_TABLE = {
    "plain": [directory("./", mode=0o1755), directory("./bin"), file("./bin/sh", b"#!", mode=0o755, **_OWNER)],
    "set-id and sticky": [file("s", mode=0o6755, **_OWNER), directory("tmp", mode=0o1777), directory("g", mode=0o2775)],
    "children before parents": [file("a/b", mtime=5), directory("a", mode=0o700, mtime=7)],
    "read-only directory": [directory("a", mode=0o555), file("a/b")],
    "directory twice": [directory("a", mode=0o700), file("a/b"), directory("a", mode=0o711)],
    "links": [file("a"), link("b", "a"), link("./c", "./b"), symlink("d", "/etc/passwd"), symlink("e", "../../x")],
    "hard link to a symlink": [symlink("a", "nowhere"), link("b", "a")],
    "fifo": [entry("fifo", tarfile.FIFOTYPE, mode=0o620)],
    "through a symlink": [directory("usr/bin"), symlink("bin", "usr/bin"), file("bin/sh"), link("sh", "bin/sh")],
    "long names": [file("d" * 200 + "/" + "f" * 255), symlink("l", "t" * 300), file("é\udcff\n")],
    "nanoseconds": [file("f", pax_headers={"mtime": "1600000000.123456789"}), directory("d", mtime=1)],
    "before the epoch": [file("f", pax_headers={"mtime": "-1.5"})],
    "empty files": [file("empty", b""), file("zeros", b"\0" * 5000)],
    "xattrs": [
        file("f", pax_headers={"SCHILY.xattr.user.a": "b=c\nd", "SCHILY.xattr.user.bytes": "\udcff\udc80"}),
        directory("d", pax_headers={"SCHILY.xattr.user.d": ""}),
    ],
    "contiguous": [entry("f", tarfile.CONTTYPE, b"x")],
}  # fmt: skip


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize("name", _TABLE)
def test_tree_is_what_gnu_tar_makes(tmp_path: Path, name: str, format_: int) -> None:
    archive = tar_of(*_TABLE[name], format_=format_)
    expected = _gnu_tar(archive, tmp_path / "expected")
    named = {info.name.strip("./") for info, _ in _TABLE[name] if info.isdir()}
    if name == "through a symlink":
        named = set()  # GNU tar does not give a directory its time if it was written to under another name

    built = _import(archive, tmp_path)

    found, wanted = tree(built.rootfs_staging), tree(expected)
    for listing in (found, wanted):  # directories that the archive does not name are made now
        for path in listing:
            if path not in named and listing[path]["mode"].startswith("0o4"):
                del listing[path]["mtime"]
    assert found.keys() == wanted.keys()
    root_named = "" in named
    for path in found:
        if path != "." or root_named:
            assert found[path] == wanted[path], path


def test_sparse_files_keep_holes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "sparse").open("wb") as sparse:
        for number in range(1, 40):
            sparse.seek(number << 18)
            sparse.write(b"%d" % number)
        sparse.truncate(16 << 20)
    for number, options in enumerate(
        (["--format=gnu"], ["--format=posix"], ["--format=posix", "--sparse-version=0.1"])
    ):
        command = ["tar", "-c", "--sparse", *options, "-C", source, "."]
        archive = subprocess.run(command, check=True, capture_output=True).stdout
        assert len(archive) < 1 << 20

        built = _import(archive, tmp_path)

        unpacked = built.rootfs_staging / "sparse"
        assert unpacked.read_bytes() == (source / "sparse").read_bytes(), number
        assert unpacked.stat().st_blocks * 512 < 1 << 20  # of 16 MiB; the exact number depends on write-back


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compressed_archives_give_the_same_image(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    archive = tar_of(file("f", b"x" * 100_000))

    built = _import(compress(archive), tmp_path)

    assert built.image.layers == [sha256(archive)]
    assert (built.rootfs_staging / "f").read_bytes() == b"x" * 100_000


def test_zstd(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    archive = tar_of(file("f"))
    halves = zstandard.compress(archive[:700]) + zstandard.compress(archive[700:])
    assert _import(halves, tmp_path).image.layers == [sha256(archive)]


def test_image_describes_the_import(tmp_path: Path) -> None:
    archive = tar_of(file("f", b"12345"), link("g", "f"), file("h", b"678"))

    built = _import(archive, tmp_path, 'VOLUME ["/v"]', "USER u")

    image = built.image
    assert image.config == Config(volumes={"/v": {}}, user="u")
    assert (image.size, image.layers, image.architecture, image.os) == (8, [sha256(archive)], "amd64", "linux")
    assert (image.comment, image.history[0].comment) == ("m", "m")
    assert built.references == ()
    assert built.rootfs_staging.name == "rootfs"
    assert os.listdir(built.rootfs_staging.parent) == ["rootfs"]


def test_id_follows_from_content_config_and_time(tmp_path: Path) -> None:
    archive = tar_of(file("f"))

    def id_of(content: bytes, *changes: str) -> str:
        return _import(content, tmp_path, *changes).image.id

    assert id_of(archive) == id_of(gzip.compress(archive))
    assert len({id_of(archive), id_of(archive, "USER u"), id_of(tar_of(file("g")))}) == 3


def test_bytes_behind_the_end_count_for_the_digest(tmp_path: Path) -> None:
    archive = tar_of(file("f")) + b"\0" * 20480
    assert _import(archive, tmp_path).image.layers == [sha256(archive)]


def test_ordinary_user_owns_the_tree_and_set_id_bits_of_others_are_dropped(tmp_path: Path) -> None:
    archive = tar_of(file("su", mode=0o4755, uid=0), directory("locked", mode=0), file("locked/f", mode=0))
    staging = tmp_path / "staging"
    staging.mkdir()
    staging.chmod(0o777)
    where = os.open(staging, os.O_RDONLY)

    def check() -> None:
        os.fchdir(where)
        root = _import(archive, Path()).rootfs_staging
        status = os.stat(root / "su")
        assert (status.st_uid, oct(status.st_mode)) == (os.geteuid(), "0o100755")
        assert oct(os.stat(root / "locked").st_mode) == "0o40000"

    before = os.open(".", os.O_PATH)
    try:
        as_nobody(check)
    finally:
        os.fchdir(before)
        os.close(before)
        os.close(where)
    assert {p.stat().st_uid for p in staging.iterdir()} == {NOBODY if os.geteuid() == 0 else os.geteuid()}


_NAMES = st.binary(min_size=1, max_size=12).filter(lambda n: not set(n) & {0, 47} and n not in (b".", b".."))
_NAMES = _NAMES.filter(lambda n: not n.startswith(b".wh."))
_LEAVES = st.one_of(
    st.binary(max_size=1500).map(lambda content: ("file", content)),
    _NAMES.map(lambda target: ("symlink", target)),
    st.just(("fifo", b"")),
)
_TREES = st.recursive(_LEAVES, lambda below: st.dictionaries(_NAMES, below, max_size=5), max_leaves=15)
_MODES = st.sampled_from([0o644, 0o755, 0o4711, 0o1777, 0o2750, 0o600])


def _build(path: bytes, node: object, draw: Callable[[], tuple[int, int]]) -> None:
    mode, mtime = draw()
    if isinstance(node, dict):
        os.makedirs(path, exist_ok=True)
        for name, below in node.items():
            _build(path + b"/" + name, below, draw)
        os.chmod(path, mode | 0o700)
    else:
        assert isinstance(node, tuple)
        kind, content = node
        if kind == "symlink":
            os.symlink(content, path)
        elif kind == "fifo":
            os.mkfifo(path)
            os.chmod(path, mode)
        else:
            Path(os.fsdecode(path)).write_bytes(content)
            os.chmod(path, mode)
    os.utime(path, ns=(mtime, mtime), follow_symlinks=False)


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(data=st.data(), top=st.dictionaries(_NAMES, _TREES, max_size=5), format_=st.sampled_from(["posix", "gnu"]))
def test_any_tree_survives_tar_and_import(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, top: dict[bytes, object], format_: str
) -> None:
    place = tmp_path_factory.mktemp("tree")
    source = place / "source"
    source.mkdir()
    times = st.integers(0, 4_000_000_000 if format_ == "gnu" else 4_000_000_000 * 10**9)
    scale = 10**9 if format_ == "gnu" else 1
    _build(os.fsencode(source), top, lambda: (data.draw(_MODES), data.draw(times) * scale))
    before = tree(source)
    command = ["tar", "-c", f"--format={format_}", "--xattrs", "--numeric-owner", "-C", source, "."]
    archive = subprocess.run(command, check=True, capture_output=True).stdout

    assert tree(_import(archive, place).rootfs_staging) == before


def test_config_file_of_an_import_is_what_its_id_says(tmp_path: Path) -> None:
    from volfuse.core.imageconfig import encode_image

    image: Image = _import(tar_of(file("f")), tmp_path).image
    text = encode_image(image)
    assert image.id == "sha256:" + hashlib.sha256(text).hexdigest()
    assert json.loads(text)["rootfs"]["diff_ids"] == image.layers
