"""What holds at and between the mounts of a view. The expected answers are Docker's (scenarios 19, 37 and 53)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.targets import Server


class Stage:
    """Sources on the host and a view of them."""

    def __init__(self, server: Server, host: Path, name: str) -> None:
        self.server = server
        self.host = host
        self.name = name
        self.view = server.mountpoint / name

    def source(self, name: str) -> dict[str, Any]:
        return {"source": str(self.host / name)}


@pytest.fixture
def stage(server: Server, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A view with a private tree, one volume at two places, one read-only, one at a missing path, and a file bind."""
    name = request.node.name.replace("[", "-").replace("]", "").replace(" ", "-")[:60]
    host = server.base / f"stage-{name}"
    for directory in ("root/home", "root/etc", "root/v1", "v1", "v2", "nested"):
        (host / directory).mkdir(parents=True)
    (host / "root/etc/cfg").write_bytes(b"of the image")
    (host / "root/home/f").write_bytes(b"home")
    (host / "file").write_bytes(b"v1\n")
    server.attach(
        name,
        {"destination": "", "source": str(host / "root"), "private": True, "tag": 77},
        {"destination": "v1", "source": str(host / "v1")},
        {"destination": "again", "source": str(host / "v1")},
        {"destination": "ro", "source": str(host / "v1"), "readonly": True},
        {"destination": "deep/er/v2", "source": str(host / "v2")},
        {"destination": "v1/a/nested", "source": str(host / "nested")},
        {"destination": "etc/cfg", "source": str(host / "file")},
    )
    yield Stage(server, host, name)
    server.ask("detach", name)


def errno_of(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as exc:
        return errno.errorcode[exc.errno or 0]
    return "ok"


def test_mount_points_show_without_a_directory_below(stage: Stage) -> None:
    assert sorted(os.listdir(stage.view)) == ["again", "deep", "etc", "home", "ro", "v1"]
    assert os.listdir(stage.view / "deep") == ["er"]
    assert os.listdir(stage.view / "deep/er") == ["v2"]
    assert os.listdir(stage.view / "v1") == ["a"]
    assert os.listdir(stage.view / "v1/a") == ["nested"]
    assert os.listdir(stage.host / "v1") == []
    (stage.view / "deep/er/v2/f").write_bytes(b"content")
    assert (stage.host / "v2/f").read_bytes() == b"content"
    (stage.view / "v1/a/nested/g").write_bytes(b"content")
    assert (stage.host / "nested/g").read_bytes() == b"content"


def test_synthetic_directories_are_roots_and_fixed(stage: Stage) -> None:
    status = os.stat(stage.view / "deep")
    assert (status.st_mode, status.st_uid, status.st_gid) == (stat.S_IFDIR | 0o755, 0, 0)
    assert os.stat(stage.view / "deep").st_ino == status.st_ino
    assert errno_of(lambda: os.mkdir(stage.view / "deep/new")) == "EROFS"
    assert errno_of(lambda: (stage.view / "deep/er/new").touch()) == "EROFS"
    assert errno_of(lambda: os.chmod(stage.view / "deep", 0o700)) == "EROFS"
    assert errno_of(lambda: os.utime(stage.view / "deep/er")) == "EROFS"
    assert errno_of(lambda: os.rmdir(stage.view / "deep")) == "ENOTEMPTY"
    assert errno_of(lambda: os.rename(stage.view / "deep", stage.view / "x")) == "EBUSY"
    assert errno_of(lambda: os.stat(stage.view / "deep/missing")) == "ENOENT"
    assert errno_of(lambda: os.setxattr(stage.view / "deep", "user.key", b"")) == "EROFS"
    assert os.listxattr(stage.view / "deep") == []
    assert os.statvfs(stage.view / "deep").f_namemax == 255


def test_numbers_of_entries_agree_with_stat(stage: Stage) -> None:
    for directory in ("", "deep", "deep/er", "v1", "v1/a", "etc"):
        with os.scandir(stage.view / directory) as entries:
            for entry in entries:
                assert entry.inode() == os.lstat(entry.path).st_ino, entry.path


def test_a_mount_point_cannot_be_removed_or_renamed(stage: Stage) -> None:
    view = stage.view
    assert errno_of(lambda: os.rmdir(view / "v1")) == "EBUSY"
    assert errno_of(lambda: os.rename(view / "v1", view / "vx")) == "EBUSY"
    assert errno_of(lambda: os.unlink(view / "v1")) == "EISDIR"
    assert errno_of(lambda: os.rename(view / "home", view / "v1")) == "EBUSY"
    assert errno_of(lambda: os.mkdir(view / "v1")) == "EEXIST"
    assert errno_of(lambda: os.symlink("x", view / "v1")) == "EEXIST"


def test_a_mount_point_can_be_changed_itself(stage: Stage) -> None:
    os.chmod(stage.view / "v1", 0o711)
    os.chown(stage.view / "v1", 12, 34)
    os.utime(stage.view / "v1", ns=(1, 2))
    os.setxattr(stage.view / "v1", "user.key", b"value")
    status = os.stat(stage.host / "v1")
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime_ns) == (0o711, 12, 2)
    assert os.getxattr(stage.view / "again", "user.key") == b"value"


def test_two_mounts_cannot_be_renamed_or_linked_between(stage: Stage) -> None:
    (stage.view / "v1/f").write_bytes(b"1")
    assert errno_of(lambda: os.rename(stage.view / "v1/f", stage.view / "again/g")) == "EXDEV"
    assert errno_of(lambda: os.link(stage.view / "v1/f", stage.view / "again/g")) == "EXDEV"
    assert errno_of(lambda: os.rename(stage.view / "v1/f", stage.view / "home/g")) == "EXDEV"
    assert errno_of(lambda: os.link(stage.view / "home/f", stage.view / "v1/g")) == "EXDEV"
    assert errno_of(lambda: os.rename(stage.view / "v1/f", stage.server.mountpoint / "one/vol/f")) == "EXDEV"
    assert errno_of(lambda: os.rename(stage.view / "v1/f", stage.view / "v1/g")) == "ok"
    assert os.listdir(stage.view / "ro") == ["g"]


def test_a_failing_rename_between_mounts_keeps_both_files_though_open(stage: Stage) -> None:
    (stage.view / "v1/f").write_bytes(b"one")
    (stage.view / "home/g").write_bytes(b"two")
    with (stage.view / "home/g").open("rb") as opened:
        assert errno_of(lambda: os.rename(stage.view / "v1/f", stage.view / "home/g")) == "EXDEV"
        assert opened.read() == b"two"
    assert (stage.view / "v1/f").read_bytes() == b"one"
    assert (stage.view / "home/g").read_bytes() == b"two"


def test_one_volume_at_two_places_is_one(stage: Stage) -> None:
    (stage.view / "v1/f").write_bytes(b"1")
    assert (stage.view / "again/f").read_bytes() == b"1"
    assert (stage.view / "ro/f").read_bytes() == b"1"
    assert os.path.samestat(os.stat(stage.view / "v1/f"), os.stat(stage.view / "again/f"))


def test_dotdot_leads_out_of_a_mount(stage: Stage) -> None:
    fd = os.open(stage.view / "v1", os.O_RDONLY | os.O_DIRECTORY)
    above = os.open("..", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
    assert "home" in os.listdir(above)
    assert os.path.samestat(os.stat(above), os.stat(stage.view))
    os.close(fd)
    os.close(above)


def test_a_file_bind(stage: Stage) -> None:
    cfg = stage.view / "etc/cfg"
    assert cfg.read_bytes() == b"v1\n"
    (stage.host / "file").write_bytes(b"v2\n")
    assert cfg.read_bytes() == b"v2\n"
    with cfg.open("ab") as file:
        file.write(b"c\n")
    assert (stage.host / "file").read_bytes() == b"v2\nc\n"
    os.truncate(cfg, 3)
    os.chmod(cfg, 0o600)
    os.chown(cfg, 1, 2)
    os.utime(cfg, ns=(3, 4))
    os.setxattr(cfg, "user.key", b"value")
    status = os.stat(stage.host / "file")
    assert (status.st_size, stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime_ns) == (3, 0o600, 1, 4)
    assert os.getxattr(stage.host / "file", "user.key") == b"value"


def test_a_file_bind_cannot_be_removed_or_replaced(stage: Stage) -> None:
    cfg = stage.view / "etc/cfg"
    (stage.view / "etc/cfg2").write_bytes(b"n")
    assert errno_of(lambda: os.rename(stage.view / "etc/cfg2", cfg)) == "EBUSY"
    assert errno_of(lambda: os.unlink(cfg)) == "EBUSY"
    with cfg.open("rb") as opened:
        assert errno_of(lambda: os.rename(stage.view / "etc/cfg2", cfg)) == "EBUSY"
        assert errno_of(lambda: os.unlink(cfg)) == "EBUSY"
        assert opened.read() == b"v1\n"
    assert cfg.read_bytes() == b"v1\n"
    assert errno_of(lambda: os.link(cfg, stage.view / "etc/cfg3")) == "EXDEV"


def test_a_file_bind_replaced_on_the_host_keeps_the_old_file(stage: Stage) -> None:
    (stage.host / "new").write_bytes(b"v3\n")
    os.rename(stage.host / "new", stage.host / "file")
    assert (stage.view / "etc/cfg").read_bytes() == b"v1\n"


def test_the_hidden_file_of_the_image_is_left_alone(stage: Stage) -> None:
    (stage.view / "etc/cfg").write_bytes(b"changed")
    assert (stage.host / "root/etc/cfg").read_bytes() == b"of the image"


READ_ONLY: dict[str, Callable[[Path], object]] = {
    "open to write": lambda path: os.open(path / "f", os.O_WRONLY),
    "open to read and write": lambda path: os.open(path / "f", os.O_RDWR),
    "truncating open": lambda path: os.open(path / "f", os.O_RDONLY | os.O_TRUNC),
    "create": lambda path: os.open(path / "new", os.O_CREAT | os.O_WRONLY),
    "mkdir": lambda path: os.mkdir(path / "new"),
    "mkfifo": lambda path: os.mkfifo(path / "new"),
    "symlink": lambda path: os.symlink("x", path / "new"),
    "link": lambda path: os.link(path / "f", path / "new"),
    "unlink": lambda path: os.unlink(path / "f"),
    "rmdir": lambda path: os.rmdir(path / "d"),
    "rename": lambda path: os.rename(path / "f", path / "new"),
    "truncate": lambda path: os.truncate(path / "f", 0),
    "chmod": lambda path: os.chmod(path / "f", 0o600),
    "chown": lambda path: os.chown(path / "f", 1, 1),
    "utime": lambda path: os.utime(path / "f", ns=(1, 1)),
    "touch": lambda path: os.utime(path / "f"),
    "setxattr": lambda path: os.setxattr(path / "f", "user.key", b""),
    "removexattr": lambda path: os.removexattr(path / "f", "user.kept"),
    "chmod of the mount point": lambda path: os.chmod(path, 0o700),
}


@pytest.mark.parametrize("action", READ_ONLY.values(), ids=READ_ONLY.keys())
@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open"])
def test_a_read_only_mount_is_erofs(stage: Stage, action: Callable[[Path], object], is_open: bool) -> None:
    (stage.host / "v1/f").write_bytes(b"content")
    (stage.host / "v1/d").mkdir()
    os.setxattr(stage.host / "v1/f", "user.kept", b"value")
    before = os.stat(stage.host / "v1/f")
    opened = os.open(stage.view / "ro/f", os.O_RDONLY) if is_open else -1
    assert errno_of(lambda: action(stage.view / "ro")) == "EROFS"
    if is_open:
        assert os.read(opened, 10) == b"content"
        assert os.fstat(opened).st_size == 7
        os.close(opened)
    after = os.stat(stage.host / "v1/f")
    assert (after.st_ctime_ns, after.st_size) == (before.st_ctime_ns, before.st_size)
    assert sorted(os.listdir(stage.host / "v1")) == ["d", "f"]


def test_a_read_only_mount_shows_what_another_writes(stage: Stage) -> None:
    (stage.view / "v1/f").write_bytes(b"one")
    with (stage.view / "ro/f").open("rb", buffering=0) as opened:
        assert opened.read() == b"one"
        (stage.view / "again/f").write_bytes(b"three")
        assert os.pread(opened.fileno(), 10, 0) == b"three"
    assert (stage.view / "ro/f").read_bytes() == b"three"


@pytest.mark.xfail(strict=True, reason="with default_permissions the kernel answers access(2) itself, by mode alone")
def test_access_for_writing_on_a_read_only_mount_is_erofs(stage: Stage) -> None:
    (stage.host / "v1/f").write_bytes(b"content")
    assert not os.access(stage.view / "ro/f", os.W_OK)
