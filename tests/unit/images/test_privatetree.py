"""Private trees: private, the image's below them, and gone from the kernel with their descriptor."""

from __future__ import annotations

import errno
import logging
import os
import signal
import stat
import tempfile
from pathlib import Path

import pytest

from tests.support import needs
from tests.unit.images.support import NOBODY, as_nobody, tree
from volfuse.core.wire import TmpfsOptions
from volfuse.errors import Unavailable
from volfuse.images.privatetree import PrivateTrees
from volfuse.sys.mountapi import detached_mount

pytestmark = pytest.mark.usefixtures("open_descriptors")


@pytest.fixture(params=["overlay", "copy"])
def trees(request: pytest.FixtureRequest, tmp_path: Path) -> PrivateTrees:
    made = PrivateTrees(tmp_path, overlay=None if request.param == "overlay" else False)
    needs(made.mode == request.param, f"overlay mounts: {made.reason}")
    return made


@pytest.fixture
def overlay(tmp_path: Path) -> PrivateTrees:
    made = PrivateTrees(tmp_path)
    needs(made.mode == "overlay", f"overlay mounts: {made.reason}")
    return made


@pytest.fixture
def image(tmp_path: Path) -> Path:
    rootfs = tmp_path / "image" / "rootfs"
    (rootfs / "etc").mkdir(parents=True)
    (rootfs / "etc" / "motd").write_text("image")
    (rootfs / "one").write_text("linked")
    os.link(rootfs / "one", rootfs / "two")
    rootfs.chmod(0o1751)
    os.setxattr(rootfs, "user.root", b"yes")
    os.utime(rootfs, ns=(1_600_000_000_000_000_001, 1_600_000_000_000_000_002))
    return rootfs


def _container(trees: PrivateTrees, image: Path, name: str) -> Path:
    directory = image.parent.parent / name
    directory.mkdir()
    trees.prepare(directory, image)
    return directory


def _read(dirfd: int, name: str) -> str:
    with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=dirfd)) as file:
        return file.read()


def _append(dirfd: int, name: str, text: str) -> None:
    with os.fdopen(os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644, dir_fd=dirfd), "w") as file:
        file.write(text)


def _list(dirfd: int) -> list[str]:
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=dirfd)
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def test_tree_shows_the_image(trees: PrivateTrees, image: Path) -> None:
    fd = trees.open(_container(trees, image, "c1"), image)

    assert _list(fd) == ["etc", "one", "two"]
    assert _read(fd, "etc/motd") == "image"
    found, wanted = os.fstat(fd), image.stat()
    assert (found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns) == (
        wanted.st_mode,
        wanted.st_uid,
        wanted.st_gid,
        wanted.st_mtime_ns,
    )
    os.close(fd)


def test_private_files_never_show_in_another_container_or_the_image(trees: PrivateTrees, image: Path) -> None:
    before = tree(image)
    fds = [trees.open(_container(trees, image, name), image) for name in ("c1", "c2")]

    for number, fd in enumerate(fds):
        _append(fd, f"own{number}", "secret")
        _append(fd, "etc/motd", f" {number}")
        _append(fd, f"etc/new{number}", "secret")
        os.unlink("two", dir_fd=fd)
        os.chmod("one", 0o600 + number, dir_fd=fd)

    for number, fd in enumerate(fds):
        assert _list(fd) == ["etc", "one", f"own{number}"]
        assert _read(fd, "etc/motd") == f"image {number}"
        assert stat.S_IMODE(os.stat("one", dir_fd=fd).st_mode) == 0o600 + number
        os.close(fd)
    assert tree(image) == before


def test_changes_outlive_the_descriptor_and_a_move(trees: PrivateTrees, image: Path) -> None:
    directory = _container(trees, image, "staged")
    moved = directory.rename(directory.parent / "moved")
    fd = trees.open(moved, image)
    _append(fd, "kept", "x")
    inode = os.stat("etc/motd", dir_fd=fd).st_ino
    _append(fd, "etc/motd", "x")
    os.close(fd)

    fd = trees.open(moved, image)

    assert _read(fd, "kept") == "x"
    assert os.stat("etc/motd", dir_fd=fd).st_ino == inode
    os.close(fd)


def test_writing_keeps_hard_links_and_their_inode_number(trees: PrivateTrees, image: Path) -> None:
    fd = trees.open(_container(trees, image, "c1"), image)
    before = os.stat("one", dir_fd=fd)

    _append(fd, "one", " more")

    after = [os.stat(name, dir_fd=fd) for name in ("one", "two")]
    assert [(s.st_dev, s.st_ino, s.st_nlink) for s in after] == [(before.st_dev, before.st_ino, 2)] * 2
    assert _read(fd, "two") == "linked more"
    os.close(fd)


def test_rename_of_an_image_directory_is_exdev_as_under_docker(overlay: PrivateTrees, image: Path) -> None:
    fd = overlay.open(_container(overlay, image, "c1"), image)

    with pytest.raises(OSError) as caught:
        os.rename("etc", "etc2", src_dir_fd=fd, dst_dir_fd=fd)

    assert caught.value.errno == errno.EXDEV
    os.close(fd)


def test_overlay_is_attached_nowhere(overlay: PrivateTrees, image: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()

    fd = overlay.open(_container(overlay, image, "c1"), image)

    assert Path("/proc/self/mountinfo").read_text() == before
    os.close(fd)


def test_closing_the_descriptor_frees_the_mount(
    overlay: PrivateTrees, image: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = _container(overlay, image, "c1")
    first = overlay.open(directory, image)
    with caplog.at_level(logging.WARNING):
        os.close(overlay.open(directory, image))
    assert "busy" in caplog.text  # the kernel's word that the upper side is in use
    caplog.clear()
    os.close(first)

    os.close(overlay.open(directory, image))

    assert caplog.records == []


def test_upper_side_can_be_mounted_again_after_kill_9(
    overlay: PrivateTrees, image: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = _container(overlay, image, "c1")
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fd = overlay.open(directory, image)
            _append(fd, "written", "before the kill")
            os.open("written", os.O_RDONLY, dir_fd=fd)
            os.write(told, b"ready")
            signal.pause()
        finally:
            os._exit(1)
    os.close(told)
    assert os.read(ready, 16) == b"ready"
    os.close(ready)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    fd = overlay.open(directory, image)

    assert _read(fd, "written") == "before the kill"
    assert caplog.records == []
    os.close(fd)


def test_image_on_another_disk_is_mounted_with_a_warning(
    overlay: PrivateTrees, image: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = _container(overlay, image, "c1")
    os.close(overlay.open(directory, image))
    copied = image.rename(image.parent / "old")
    image.mkdir()
    for name in ("one", "two"):
        (image / name).write_text((copied / name).read_text())

    with caplog.at_level(logging.WARNING):
        fd = overlay.open(directory, image)

    assert _read(fd, "one") == "linked"
    assert "without index" in caplog.text
    os.close(fd)


def test_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    PrivateTrees(tmp_path)
    assert os.listdir(tmp_path) == []


def test_ordinary_user_gets_copies_and_a_reason() -> None:
    with tempfile.TemporaryDirectory() as name:  # tmp_path lies below a directory that only its owner may enter
        root = Path(name)
        if os.geteuid() == 0:
            os.chown(root, NOBODY, NOBODY)

        def check() -> None:
            trees = PrivateTrees(root)
            assert trees.mode == "copy"
            assert "Operation not permitted" in trees.reason
            with pytest.raises(Unavailable, match="overlay is not available below"):
                PrivateTrees(root, overlay=True)
            with pytest.raises(Unavailable, match="tmpfs is not available: Operation not permitted"):
                trees.open_tmpfs(TmpfsOptions())
            assert os.listdir(root) == []

        as_nobody(check)


def test_overlay_tree_without_overlay_is_unavailable(overlay: PrivateTrees, image: Path) -> None:
    directory = _container(overlay, image, "c1")

    with pytest.raises(Unavailable, match="the files of c1 lie in an overlay, but copies were chosen"):
        PrivateTrees(image.parent, overlay=False).open(directory, image)


def test_copied_tree_still_opens_where_overlay_works(overlay: PrivateTrees, image: Path) -> None:
    directory = _container(PrivateTrees(image.parent, overlay=False), image, "c1")

    fd = overlay.open(directory, image)

    assert _read(fd, "etc/motd") == "image"
    os.close(fd)


def test_tmpfs_has_its_size_and_mode_and_no_path(overlay: PrivateTrees) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    fd = overlay.open_tmpfs(TmpfsOptions(size_bytes=1 << 20, mode=0o750))

    usage = os.fstatvfs(fd)
    assert usage.f_blocks * usage.f_frsize == 1 << 20
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o750
    _append(fd, "file", "x")
    assert Path("/proc/self/mountinfo").read_text() == before
    os.close(fd)


def test_tmpfs_mode_is_1777_by_default(overlay: PrivateTrees) -> None:
    fd = overlay.open_tmpfs(TmpfsOptions())
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o1777
    os.close(fd)


def test_refused_option_tells_what_the_kernel_said() -> None:
    needs(os.geteuid() == 0, "mounting needs root")
    with pytest.raises(OSError, match="Unknown parameter 'nonsense'"):
        detached_mount(b"tmpfs", {b"nonsense": b"1"})
