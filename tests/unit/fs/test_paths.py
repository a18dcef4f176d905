"""The operations on places, without a transport: rules of mounts, and links that lead out."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.fs.conftest import ROOT, Attach
from volfuse.fs import paths
from volfuse.fs.view import Place, View
from volfuse.sys.rename import RENAME_EXCHANGE, RENAME_NOREPLACE
from volfuse.sys.utimens import NOW, OMIT

At = Callable[[str], Place]


def errno_of(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as exc:
        return errno.errorcode[exc.errno or 0]
    return "ok"


def test_attributes_are_the_sources(at: At, tmp_path: Path) -> None:
    (tmp_path / "vol/f").write_bytes(b"content")
    inode, status = paths.getattr(at("v/f"))
    assert inode == os.stat(tmp_path / "vol/f").st_ino
    assert status.st_size == 7
    assert paths.getattr(at("again/f")).inode == inode


def test_a_leading_directory_is_synthetic_unless_the_source_has_it(at: At, tmp_path: Path) -> None:
    assert paths.getattr(at("missing")).status.st_mode == stat.S_IFDIR | 0o755
    assert paths.getattr(at("missing")).status.st_mtime_ns > 0
    (tmp_path / "root-c/missing").write_bytes(b"a file in the way")
    assert paths.getattr(at("missing")).status.st_mode == stat.S_IFDIR | 0o755
    os.unlink(tmp_path / "root-c/missing")
    (tmp_path / "root-c/missing").mkdir(mode=0o700)
    assert paths.getattr(at("missing")).status.st_mode == stat.S_IFDIR | 0o700


def test_listing_merges_mount_points(at: At) -> None:
    handle = paths.open_directory(at(""))
    entries = {item.name: item for item in handle.entries()}
    handle.close()
    assert set(entries) == {b".", b"..", b"v", b"again", b"ro", b"missing", b"etc"}
    for name in (b"v", b"missing", b"etc"):
        assert entries[name].inode == paths.getattr(at(os.fsdecode(name))).inode
        assert entries[name].mode == stat.S_IFDIR
    handle = paths.open_directory(at("etc"))
    assert [(item.name, item.mode) for item in handle.entries()][2:] == [(b"cfg", stat.S_IFREG)]
    handle.close()
    handle = paths.open_directory(at("missing"))
    assert [item.name for item in handle.entries()] == [b".", b"..", b"deep"]
    assert handle.entries()[1].inode == paths.getattr(at("")).inode
    handle.close()


@pytest.mark.parametrize(
    ("expected", "action"),
    [
        ("EBUSY", lambda at, entry: paths.rmdir(entry("v"))),
        ("EISDIR", lambda at, entry: paths.unlink(entry("v"))),
        ("EBUSY", lambda at, entry: paths.unlink(entry("etc/cfg"))),
        ("ENOTEMPTY", lambda at, entry: paths.rmdir(entry("missing"))),
        ("EISDIR", lambda at, entry: paths.unlink(entry("missing"))),
        ("EBUSY", lambda at, entry: paths.rename(entry("v"), entry("x"))),
        ("EBUSY", lambda at, entry: paths.rename(entry("etc"), entry("x"))),
        ("EBUSY", lambda at, entry: paths.rename(entry("d"), entry("v"))),
        ("EBUSY", lambda at, entry: paths.rename(entry("d"), entry("v"), RENAME_EXCHANGE)),
        ("EXDEV", lambda at, entry: paths.rename(entry("v/f"), entry("again/g"))),
        ("EXDEV", lambda at, entry: paths.rename(entry("v/f"), entry("v"))),
        ("EXDEV", lambda at, entry: paths.link(at("v/f"), entry("again/g"))),
        ("EXDEV", lambda at, entry: paths.link(at("etc/cfg"), entry("etc/cfg2"))),
        ("EEXIST", lambda at, entry: paths.mkdir(entry("v"), 0o755, ROOT)),
        ("EEXIST", lambda at, entry: paths.mkdir(entry("missing"), 0o755, ROOT)),
        ("EEXIST", lambda at, entry: paths.symlink(entry("etc/cfg"), b"x", ROOT)),
        ("EEXIST", lambda at, entry: paths.mknod(entry("v"), stat.S_IFIFO | 0o644, 0, ROOT)),
        ("EEXIST", lambda at, entry: paths.create(entry("etc/cfg"), os.O_EXCL, 0o644, ROOT)),
        ("EROFS", lambda at, entry: paths.mkdir(entry("missing/x"), 0o755, ROOT)),
        ("EROFS", lambda at, entry: paths.create(entry("missing/x"), os.O_RDWR, 0o644, ROOT)),
        ("EROFS", lambda at, entry: paths.chmod(at("missing"), 0o700)),
        ("EROFS", lambda at, entry: paths.mkdir(entry("ro/x"), 0o755, ROOT)),
        ("EROFS", lambda at, entry: paths.create(entry("ro/x"), os.O_RDWR, 0o644, ROOT)),
        ("EROFS", lambda at, entry: paths.open_file(at("ro/f"), os.O_WRONLY)),
        ("EROFS", lambda at, entry: paths.open_file(at("ro/f"), os.O_TRUNC)),
        ("EROFS", lambda at, entry: paths.unlink(entry("ro/f"))),
        ("EROFS", lambda at, entry: paths.rename(entry("ro/f"), entry("ro/g"))),
        ("EROFS", lambda at, entry: paths.link(at("ro/f"), entry("ro/g"))),
        ("EROFS", lambda at, entry: paths.truncate(at("ro/f"), 0)),
        ("EROFS", lambda at, entry: paths.chmod(at("ro/f"), 0o600)),
        ("EROFS", lambda at, entry: paths.chown(at("ro"), 1, 1)),
        ("EROFS", lambda at, entry: paths.utimens(at("ro/f"), NOW, OMIT)),
        ("EROFS", lambda at, entry: paths.setxattr(at("ro/f"), b"user.key", b"", 0)),
        ("EROFS", lambda at, entry: paths.removexattr(at("ro/f"), b"user.key")),
        ("EROFS", lambda at, entry: paths.access(at("ro/f"), os.W_OK)),
        ("ok", lambda at, entry: paths.access(at("ro/f"), os.R_OK)),
        ("ok", lambda at, entry: paths.access(at("v/f"), os.W_OK)),
        ("ok", lambda at, entry: paths.chmod(at("v"), 0o711)),
        ("ENOENT", lambda at, entry: paths.getattr(at("missing/x"))),
        ("ENOENT", lambda at, entry: paths.open_directory(at("v/x"))),
        ("ENODATA", lambda at, entry: paths.getxattr(at("missing"), b"user.key")),
        ("ENOTDIR", lambda at, entry: paths.getattr(at("etc/cfg/x"))),
        ("ENOTDIR", lambda at, entry: paths.open_directory(at("v/f"))),
    ],
)
def test_rules(
    view: View, at: At, entry: At, tmp_path: Path, expected: str, action: Callable[[At, At], object]
) -> None:
    (tmp_path / "vol/f").write_bytes(b"content")
    (tmp_path / "root-c/d").mkdir()
    assert errno_of(lambda: action(at, entry)) == expected


def test_rename_flags(at: At, entry: At, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "vol" / name).write_text(name)
    assert errno_of(lambda: paths.rename(entry("v/a"), entry("v/b"), RENAME_NOREPLACE)) == "EEXIST"
    paths.rename(entry("v/a"), entry("v/b"), RENAME_EXCHANGE)
    assert (tmp_path / "vol/a").read_text() == "b"


def test_a_link_put_in_the_way_is_never_followed(at: At, entry: At, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/f").write_bytes(b"secret")
    (tmp_path / "vol/dir").symlink_to("../secret")
    (tmp_path / "vol/link").symlink_to("../secret/f")
    for action in (
        lambda: paths.getattr(at("v/dir/f")),
        lambda: paths.open_file(at("v/dir/f"), os.O_RDONLY),
        lambda: paths.open_file(at("v/link"), os.O_RDWR),
        lambda: paths.create(entry("v/dir/new"), os.O_RDWR, 0o644, ROOT),
        lambda: paths.unlink(entry("v/dir/f")),
        lambda: paths.open_directory(at("v/dir")),
        lambda: paths.truncate(at("v/link"), 0),
        lambda: paths.chmod(at("v/link"), 0o777),
        lambda: paths.setxattr(at("v/link"), b"user.key", b"", 0),
    ):
        assert errno_of(action) in ("ELOOP", "ENOTDIR", "ENOTSUP", "EPERM", "EINVAL")
    paths.chown(at("v/link"), -1, -1)
    paths.utimens(at("v/link"), (1, 0), (1, 0))
    assert os.listdir(tmp_path / "secret") == ["f"]
    assert (tmp_path / "secret/f").read_bytes() == b"secret"
    assert os.stat(tmp_path / "secret/f").st_mtime > 1
    assert os.listxattr(tmp_path / "secret/f") == []


def test_a_special_file_put_in_the_way_is_not_opened(at: At, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "vol/fifo")
    assert errno_of(lambda: paths.open_file(at("v/fifo"), os.O_RDONLY)) == "ESTALE"
    assert errno_of(lambda: paths.open_file(at("v/fifo"), os.O_RDWR)) == "ESTALE"


def test_creating_what_exists_by_now_has_the_kernel_look_again(entry: At, tmp_path: Path) -> None:
    (tmp_path / "vol/f").write_bytes(b"of somebody else")
    assert errno_of(lambda: paths.create(entry("v/f"), os.O_RDWR, 0o644, ROOT)) == "ESTALE"
    assert errno_of(lambda: paths.create(entry("v/f"), os.O_RDWR | os.O_EXCL, 0o644, ROOT)) == "EEXIST"


def test_a_missing_source_is_eio(attach: Attach, caplog: pytest.LogCaptureFixture) -> None:
    view = attach("m", ("gone", "nowhere", False))
    assert "source" in caplog.text
    assert "is missing" in caplog.text
    for action in (
        lambda: paths.getattr(view.locate(b"gone")),
        lambda: paths.open_directory(view.locate(b"gone")),
        lambda: paths.create(view.locate_entry(b"gone/f"), os.O_RDWR, 0o644, ROOT),
        lambda: paths.statfs(view.locate(b"gone")),
    ):
        assert errno_of(action) == "EIO"
    handle = paths.open_directory(view.locate(b""))
    assert [item.name for item in handle.entries()][2:] == [b"gone"]
    handle.close()
