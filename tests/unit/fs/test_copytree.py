"""copy_tree against `cp -a`, and on trees that are deep, wide, locked or odd."""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import needs
from tests.unit.images.support import NOBODY, as_nobody, directory_fd, tree
from volfuse.fs.copytree import copy_tree
from volfuse.fs.metadata import copy_metadata

pytestmark = pytest.mark.usefixtures("open_descriptors")

_DEPTH = 1500
_OLD_NS = 1_600_000_000_123_456_789


def _copy(source: Path, target: Path, **options: bool) -> None:
    with directory_fd(source) as source_fd, directory_fd(target) as target_fd:
        copy_tree(source_fd, target_fd, **options)


def _as_cp(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "--sparse=always", f"{source}/.", target], check=True)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    return source, target


def _files(root: Path) -> None:
    (root / "plain").write_bytes(os.urandom(300_000))
    (root / "empty").touch()
    (root / os.fsdecode(b"bytes \xff\n")).write_text("x")
    (root / "sub" / "deeper").mkdir(parents=True)
    (root / "sub" / "deeper" / "file").write_text("deep")
    (root / "sub" / "no entries").mkdir(mode=0o1770)


def _links(root: Path) -> None:
    (root / "file").write_text("shared")
    (root / "sub").mkdir()
    os.link(root / "file", root / "sub" / "again")
    os.link(root / "file", root / "third")
    (root / "relative").symlink_to("file")
    (root / "absolute").symlink_to("/etc/passwd")
    (root / "dangling").symlink_to("../" * 9 + "nowhere")
    os.link(root / "dangling", root / "linked link", follow_symlinks=False)


def _specials(root: Path) -> None:
    os.mkfifo(root / "fifo", 0o620)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "socket"))


def _modes(root: Path) -> None:
    for mode in (0o4755, 0o2750, 0o1644, 0o7777, 0o000, 0o400):
        path = root / oct(mode)
        path.write_text("x")
        path.chmod(mode)
        below = root / f"d{mode:o}"
        below.mkdir()
        (below / "x").touch()
        below.chmod(mode)


def _xattrs(root: Path) -> None:
    (root / "file").write_text("x")
    (root / "sub").mkdir()
    os.setxattr(root / "file", "user.color", b"blue\0\xff")
    os.setxattr(root / "sub", "user.empty", b"")


def _times(root: Path) -> None:
    (root / "file").touch()
    (root / "sub").mkdir()
    (root / "sub" / "x").touch()
    for path in (root / "file", root / "sub", root):
        os.utime(path, ns=(_OLD_NS, _OLD_NS + 1))


@pytest.mark.parametrize("build", [_files, _links, _specials, _modes, _xattrs, _times])
def test_copy_is_what_cp_makes(places: tuple[Path, Path], build: Callable[[Path], None]) -> None:
    source, target = places
    build(source)
    expected = target.parent / "expected"
    expected.mkdir()
    _as_cp(source, expected)
    before = tree(source)

    _copy(source, target)

    assert tree(target) == tree(expected) == before


def _owners_and_devices(root: Path) -> None:
    (root / "file").touch()
    os.chown(root / "file", 33, 44)
    (root / "file").chmod(0o6755)
    (root / "link").symlink_to("file")
    os.chown(root / "link", 7, 8, follow_symlinks=False)
    os.setxattr(root / "link", "trusted.t", b"v", follow_symlinks=False)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chown(root, 1000, 1001)
    root.chmod(0o2775)
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    os.setxattr(root / "file", "security.capability", capability)


def test_owners_devices_and_capabilities_are_kept_by_root(places: tuple[Path, Path]) -> None:
    needs(os.geteuid() == 0, "owners need root")
    source, target = places
    _owners_and_devices(source)
    expected = target.parent / "expected"
    expected.mkdir()
    _as_cp(source, expected)

    _copy(source, target)

    assert tree(target) == tree(expected) == tree(source)


def _acl(owner: int, user33: int, group: int, mask: int, other: int) -> bytes:
    """Return an ACL as its attribute holds it (include/uapi/linux/posix_acl_xattr.h, posix_acl.h)."""
    nobody = 0xFFFFFFFF
    entries = ((1, owner, nobody), (2, user33, 33), (4, group, nobody), (16, mask, nobody), (32, other, nobody))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_acls_are_kept(places: tuple[Path, Path]) -> None:
    source, target = places
    (source / "sub").mkdir()
    (source / "sub" / "file").touch()
    access, default = _acl(6, 6, 4, 6, 0), _acl(7, 7, 5, 5, 1)
    try:
        os.setxattr(source / "sub" / "file", "system.posix_acl_access", access)
        os.setxattr(source / "sub", "system.posix_acl_default", default)
    except OSError as exc:
        needs(exc.errno != errno.ENOTSUP, "a file system with ACLs")
        raise

    _copy(source, target)

    assert os.getxattr(target / "sub" / "file", "system.posix_acl_access") == access
    assert os.getxattr(target / "sub", "system.posix_acl_default") == default
    assert tree(target) == tree(source)


def test_holes_stay_holes(places: tuple[Path, Path]) -> None:
    source, target = places
    with (source / "sparse").open("wb") as file:
        file.seek(10 << 20)
        file.write(b"x" * 5000)
        file.truncate(20 << 20)
    (source / "hole").touch()
    os.truncate(source / "hole", 30 << 20)

    _copy(source, target)

    assert tree(target) == tree(source)
    used = {name: (target / name).stat().st_blocks * 512 for name in ("sparse", "hole")}
    assert max(used.values()) < 1 << 18, used  # the exact numbers depend on write-back


def test_root_metadata_is_left_on_request(places: tuple[Path, Path]) -> None:
    source, target = places
    (source / "file").touch()
    source.chmod(0o1777)
    target.chmod(0o700)

    _copy(source, target, root_metadata=False)

    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert (target / "file").exists()


def test_copy_metadata_needs_only_o_path(places: tuple[Path, Path]) -> None:
    source, target = places
    source.chmod(0o1751)
    os.setxattr(source, "user.a", b"b")
    os.utime(source, ns=(_OLD_NS, _OLD_NS))
    fds = [os.open(place, os.O_PATH) for place in places]

    copy_metadata(*fds)

    assert tree(target) == tree(source)
    for fd in fds:
        os.close(fd)


def deep_tree(root: Path, depth: int = _DEPTH) -> None:
    """Make a chain of directories that no path reaches, with a file in each hundredth and links between them."""
    fd = os.open(root, os.O_RDONLY)
    first = -1
    for level in range(depth):
        if level % 100 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
            if first < 0:
                first = os.dup(fd)
            else:
                os.link("file", "linked", src_dir_fd=first, dst_dir_fd=fd)
        os.mkdir("d" * 10, dir_fd=fd)
        below = os.open("d" * 10, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    os.close(first)


def _listing(root: Path) -> list[bytes]:
    printed = subprocess.run(["find", ".", "-printf", "%d %f %y %n %m\n"], cwd=root, check=True, capture_output=True)
    return sorted(printed.stdout.splitlines())


def test_deep_tree_is_copied_with_few_descriptors(places: tuple[Path, Path]) -> None:
    source, target = places
    deep_tree(source)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 100, limits[1]))
    try:
        _copy(source, target)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert _listing(target) == _listing(source)
    subprocess.run(["rm", "-rf", source, target], check=True)


def test_wide_directory_is_copied(places: tuple[Path, Path]) -> None:
    source, target = places
    for number in range(3000):
        (source / f"file{number}").touch()
        (source / f"directory{number}").mkdir()

    _copy(source, target)

    assert _listing(target) == _listing(source)


def test_error_names_the_path(places: tuple[Path, Path]) -> None:
    source, target = places
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "c").touch()
    (target / "a").mkdir()

    with pytest.raises(FileExistsError) as caught:
        _copy(source, target)

    assert caught.value.filename == b"a"


def test_ordinary_user_copies_what_denies_him_reading(places: tuple[Path, Path]) -> None:
    source, target = places
    _modes(source)
    before = tree(source, owners=False)
    for path in (source, target, *source.rglob("*")):
        if os.geteuid() == 0:
            mode = path.stat().st_mode
            os.chown(path, NOBODY, NOBODY)
            path.chmod(stat.S_IMODE(mode))  # a chown drops the set-id bits
    with directory_fd(source) as source_fd, directory_fd(target) as target_fd:
        as_nobody(lambda: copy_tree(source_fd, target_fd))

    assert tree(target, owners=False) == before
    assert tree(source, owners=False) == before


def test_ordinary_user_does_not_take_over_set_id_of_others(places: tuple[Path, Path]) -> None:
    needs(os.geteuid() == 0, "owners need root")
    source, target = places
    (source / "program").touch()
    os.chown(source / "program", 33, 33)
    (source / "program").chmod(0o6755)
    source.chmod(0o755)
    os.chown(target, NOBODY, NOBODY)

    with directory_fd(source) as source_fd, directory_fd(target) as target_fd:
        as_nobody(lambda: copy_tree(source_fd, target_fd, root_metadata=False))

    copied = (target / "program").stat()
    assert (copied.st_uid, stat.S_IMODE(copied.st_mode)) == (NOBODY, 0o755)
