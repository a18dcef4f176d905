"""cp: what is sent and what is unpacked, compared with docker's command; and archives that want to break out."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shlex
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from volfuse.cli.failure import CommandFailed
from volfuse.cli.tarstream import unpack

from .conftest import Run
from .fakedaemon import FakeDaemon, Reply, Request, error

_DIRECTORY, _SYMLINK = 1 << 31, 1 << 27

# What the container holds, by path: its kind, and the archive that the daemon sends for it.
_FILES: dict[str, tuple[int, str, list[tuple[str, bytes | None]]]] = {
    "/d": (_DIRECTORY | 0o755, "", [("d", None), ("d/f", b"one"), ("d/sub", None), ("d/sub/g", b"two")]),
    "/d/": (_DIRECTORY | 0o755, "", [("d", None), ("d/f", b"one")]),
    "/d/.": (_DIRECTORY | 0o755, "", [("./", None), ("./f", b"one")]),
    "/f": (0o644, "", [("f", b"file")]),
    "/link": (_SYMLINK | 0o777, "/d", [("link", b"->/d")]),
    "/new": (0, "", []),
}

TO_CONTAINER = [
    "cp file web:/d",
    "cp file web:/d/",
    "cp file web:/f",
    "cp file web:/new",
    "cp file web:/new/",
    "cp file web:/link",
    "cp ./dir web:/d",
    "cp dir/ web:/d",
    "cp dir/. web:/d",
    "cp dir web:/new",
    "cp dir/. web:/new",
    "cp dir web:/f",
    "cp -a dir web:/d",
    "cp link web:/d",
    "cp -L link web:/d",
    "cp -L link web:/new",
    "cp dirlink web:/d",
    "cp -L dirlink web:/d",
    "cp dirlink/. web:/d",
    "cp nope web:/d",
    "cp '' web:/d",
    "cp file ''",
    "cp file other",
    "cp web:/f web:/d",
    "cp file",
]
FROM_CONTAINER = [
    "cp web:/f here",
    "cp web:/f here/",
    "cp web:/f file",
    "cp web:/f new",
    "cp web:/f new/",
    "cp web:/f nodir/new",
    "cp web:/d here",
    "cp web:/d/ here",
    "cp web:/d/. here",
    "cp web:/d new",
    "cp web:/d/. new",
    "cp web:/d file",
    "cp web:/d .",
    "cp web:/link here",
    "cp -L web:/link here",
    "cp -L web:/link new",
    "cp web:/nope here",
    "cp web:/f dirlink",
]


def _archive(members: list[tuple[str, bytes | None]]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.mtime = 1_600_000_000
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            elif content.startswith(b"->"):
                member.type, member.linkname = tarfile.SYMTYPE, content[2:].decode()
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content or b""))
    return made.getvalue()


def _answer(request: Request) -> Reply:
    path = request.query["path"][0]
    mode, target, members = _FILES.get(path, (0, "", []))
    if not mode:
        return error(404, f"Could not find the file {path} in container web")
    described = {"name": os.path.basename(path), "size": 4, "mode": mode, "mtime": "2026-01-01T00:00:00Z"}
    header = base64.b64encode(json.dumps(described | {"linkTarget": target}).encode()).decode()
    return Reply(_archive(members), headers={"X-Docker-Container-Path-Stat": header})


@pytest.fixture
def container(fake: FakeDaemon) -> FakeDaemon:
    fake.routes |= {
        "HEAD /containers/web/archive": _answer,
        "GET /containers/web/archive": _answer,
        "PUT /containers/web/archive": Reply(),
    }
    return fake


@pytest.fixture
def fill(home: Path) -> Callable[[], None]:
    """Return what lays out the working directory afresh."""

    def lay_out() -> None:
        for entry in home.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        (home / "dir" / "sub").mkdir(parents=True)
        (home / "here").mkdir()
        (home / "file").write_text("local")
        (home / "dir" / "a").write_text("a")
        (home / "dir" / "sub" / "b").write_text("b")
        (home / "link").symlink_to("file")
        (home / "dirlink").symlink_to("dir")

    return lay_out


def _sent(fake: FakeDaemon) -> list[Any]:
    found = []
    for request in fake.requests:
        if request.method == "PUT":
            with tarfile.open(fileobj=io.BytesIO(request.body)) as tar:
                names = sorted((m.name, m.type, m.size, m.linkname) for m in tar)
            query = {k: v for k, v in request.query.items() if (k, v) != ("copyUIDGID", ["false"])}
            found.append((query, names))
    return found


@pytest.mark.parametrize("line", TO_CONTAINER)
def test_upload_is_dockers(
    line: str, container: FakeDaemon, fill: Callable[[], None], docker: Run, volfuse: Run
) -> None:
    fill()
    expected = docker(*shlex.split(line))
    expected_uploads = _sent(container)
    container.requests.clear()
    found = volfuse(*shlex.split(line))
    assert _sent(container) == expected_uploads
    assert (found.out, found.err, found.status) == (
        expected.out,
        _translated(expected.err),
        expected.status,
    )


def _translated(err: str) -> str:
    """Say docker's words with our command's name, without what its archiver logs when nobody reads."""
    return re.sub(r"\bdocker\b", "volfuse", re.sub(r"(?m)^time=.*\n", "", err))


def _tree(home: Path) -> list[tuple[str, str]]:
    found = []
    for path in sorted(home.rglob("*")):
        if path.parts[len(home.parts)] == ".docker":
            continue
        state = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else ""
        found.append((str(path.relative_to(home)), f"{stat.filemode(state.st_mode)} {content}"))
    return found


@pytest.mark.parametrize("line", FROM_CONTAINER)
def test_download_is_dockers(
    line: str, container: FakeDaemon, fill: Callable[[], None], home: Path, docker: Run, volfuse: Run
) -> None:
    fill()
    expected = docker(*shlex.split(line))
    expected_tree = _tree(home)
    fill()
    found = volfuse(*shlex.split(line))
    assert _tree(home) == expected_tree
    assert found.status == expected.status
    assert found.err == expected.err


def test_download_keeps_the_time(container: FakeDaemon, home: Path, volfuse: Run) -> None:
    assert volfuse("cp", "web:/d", ".").status == 0
    assert (home / "d").stat().st_mtime == 1_600_000_000
    assert (home / "d" / "f").stat().st_mtime == 1_600_000_000


def test_upload_of_a_tar_stream(container: FakeDaemon, volfuse: Run) -> None:
    archive = _archive([("x", b"y")])
    assert volfuse("cp", "-", "web:/d", input=archive).status == 0
    assert container.sent("PUT /containers/web/archive")[0].body == archive


def test_tar_stream_onto_a_file_is_refused(container: FakeDaemon, volfuse: Run) -> None:
    assert volfuse("cp", "-", "web:/f").err == 'destination "web:/f" must be a directory\n'


def _raw(name: str, **fields: object) -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        member = tarfile.TarInfo(name)
        for field, value in fields.items():
            setattr(member, field, value)
        tar.addfile(member)
    made.seek(0)
    return made


@pytest.mark.parametrize("name", ["../out", "a/../../out", "d/../../../out"])
def test_name_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(CommandFailed, match="invalid name in archive"):
        unpack(_raw(name), str(inside), "x", None)
    assert not (tmp_path / "out").exists()


def test_absolute_name_stays_inside(tmp_path: Path) -> None:
    unpack(_raw("/etc/x"), str(tmp_path), "x", None)
    assert (tmp_path / "etc" / "x").exists()


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    with pytest.raises(CommandFailed, match="not a directory"):
        unpack(_raw("link/x"), str(inside), "y", None)
    assert list(outside.iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.write_text("kept")
    (inside / "x").symlink_to(outside)
    unpack(_raw("x"), str(inside), "y", None)
    assert outside.read_text() == "kept"
    assert not (inside / "x").is_symlink()


def test_hard_link_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="invalid name in archive"):
        unpack(_raw("x", type=tarfile.LNKTYPE, linkname="../secret"), str(tmp_path), "y", None)
