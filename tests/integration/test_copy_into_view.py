"""`docker cp` writes past the mount; whoever looks through the mount sees it at once, by both transports."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from docker.errors import APIError

from tests.integration.conftest import rootfs
from tests.support import needs
from volfuse.testing import DaemonProcess

Entry = tuple[str, bytes | int]
"""Name with the content of a file, or the mode of a directory."""


@dataclass(frozen=True)
class Looked:
    """The view of a container `c1`, and what unpacks a tar into its /etc."""

    etc: Path
    put: Callable[..., None]


@pytest.fixture(params=["kernel", "fusepy"])
def c1(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Looked]:
    needs(os.access("/dev/fuse", os.R_OK | os.W_OK), "/dev/fuse cannot be opened")
    with DaemonProcess(tmp_path / "root", "--transport", request.param) as daemon:
        client = docker.DockerClient(base_url=daemon.docker_host)
        tar = rootfs({"etc/conf.d/one": b"one\n"})
        client.api.import_image_from_data(tar, repository="small", tag="1")
        client.api.create_container("small:1", name="c1")

        def put(*entries: Entry) -> None:
            client.api.put_archive("c1", "/etc", tar_of(*entries))

        yield Looked(daemon.views / "c1" / "etc", put)
        client.close()
        assert "Traceback" not in daemon.log, daemon.log


def tar_of(*entries: Entry) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, what in entries:
            member = tarfile.TarInfo(name)
            if isinstance(what, int):
                member.type, member.mode = tarfile.DIRTYPE, what
                tar.addfile(member)
            else:
                member.size = len(what)
                tar.addfile(member, io.BytesIO(what))
    return archive.getvalue()


def test_a_name_that_was_missing_is_found(c1: Looked) -> None:
    for name in ("new", "made/below"):
        assert not (c1.etc / name).exists()
    before = c1.etc.stat()
    c1.put(("new", b"content\n"), ("made/below", b"deep\n"))
    assert (c1.etc / "new").read_bytes() == b"content\n"
    assert (c1.etc / "made/below").read_bytes() == b"deep\n"
    assert c1.etc.stat().st_mtime_ns > before.st_mtime_ns
    assert c1.etc.stat().st_nlink == 1 or c1.etc.stat().st_nlink == before.st_nlink + 1


def test_a_replaced_file_shows_its_new_content_and_attributes(c1: Looked) -> None:
    issue = c1.etc / "issue"
    assert issue.read_bytes() == b"small\n"
    with issue.open("rb") as old:
        c1.put(("issue", b"replaced by another\n"))
        assert old.read() == b"small\n"
    assert issue.stat().st_size == len(b"replaced by another\n")
    assert issue.read_bytes() == b"replaced by another\n"
    c1.put(("issue", b"and again\n"))
    assert issue.read_bytes() == b"and again\n"


def test_a_directory_shows_its_new_mode(c1: Looked) -> None:
    directory = c1.etc / "conf.d"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755
    c1.put(("conf.d", 0o2750))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o2750
    assert (directory / "one").read_bytes() == b"one\n"


def test_a_directory_and_a_file_replace_each_other(c1: Looked) -> None:
    place = c1.etc / "conf.d"
    assert (place / "one").exists()
    assert not (place / "two").exists()
    c1.put(("conf.d", b"a file\n"))
    assert place.read_bytes() == b"a file\n"
    c1.put(("conf.d", 0o700), ("conf.d/two", b"two\n"))
    assert os.listdir(place) == ["two"]
    assert not (place / "one").exists()
    assert (place / "two").read_bytes() == b"two\n"


def test_what_a_failed_copy_has_written_is_seen(c1: Looked) -> None:
    assert not (c1.etc / "first").exists()
    with pytest.raises(APIError):
        c1.put(("first", b"first\n"), ("../outside", b""), ("second", b""))
    assert (c1.etc / "first").read_bytes() == b"first\n"
    assert not (c1.etc / "second").exists()


def test_what_is_mounted_in_the_view_stays(c1: Looked) -> None:
    needs(os.geteuid() == 0, "mounts need root")
    inside = c1.etc / "conf.d"
    subprocess.run(["mount", "-t", "tmpfs", "none", str(inside)], check=True)
    try:
        c1.put(("conf.d", 0o700), ("new", b""))
        assert (c1.etc / "new").exists()
        assert c1.etc.is_dir()
        assert os.path.ismount(inside)
    finally:
        subprocess.run(["umount", str(inside)], check=True)
