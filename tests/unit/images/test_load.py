"""`docker save` and OCI archives; whiteouts as the OCI image spec describes them (layer.md)."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.images.support import (
    config_json,
    directory,
    docker_archive,
    file,
    link,
    oci_archive,
    sha256,
    symlink,
    tar_of,
)
from volfuse.engine.ports import BuiltImage
from volfuse.errors import InvalidSpec, Unsupported
from volfuse.images.builder import ArchiveImageBuilder

pytestmark = pytest.mark.usefixtures("open_descriptors")


def _load(archive: bytes, staging: Path, machine: str = "x86_64") -> list[BuiltImage]:
    return list(ArchiveImageBuilder(machine=machine).load(io.BytesIO(archive), staging, lambda _: None))


def _one(archive: bytes, staging: Path) -> BuiltImage:
    (built,) = _load(archive, staging)
    return built


def _names(built: BuiltImage) -> list[str]:
    root = built.rootfs_staging
    return sorted(os.path.relpath(os.path.join(d, n), root) for d, ds, fs in os.walk(root) for n in [*ds, *fs])


_BASE = tar_of(
    directory("bin"),
    file("bin/a", b"lower a"),
    file("bin/b", b"lower b"),
    directory("etc/conf.d"),
    file("etc/conf.d/one"),
    file("etc/conf.d/two"),
    symlink("sbin", "bin"),
)


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ([file("bin/.wh.a", b"")], ["bin", "bin/b", "etc", "etc/conf.d", "etc/conf.d/one", "etc/conf.d/two", "sbin"]),
        ([file(".wh.etc", b"")], ["bin", "bin/a", "bin/b", "sbin"]),
        ([file(".wh.sbin", b""), file(".wh.etc", b"")], ["bin", "bin/a", "bin/b"]),
        ([file(".wh.etc", b""), file("etc", b"now a file")], ["bin", "bin/a", "bin/b", "etc", "sbin"]),
        ([file(".wh.missing", b""), file("no/.wh.where", b""), file(".wh.etc", b"")],
         ["bin", "bin/a", "bin/b", "sbin"]),
        ([file("etc/.wh..wh..opq", b"")], ["bin", "bin/a", "bin/b", "etc", "sbin"]),
        ([directory("etc"), file("etc/new"), file("etc/.wh..wh..opq", b"")],
         ["bin", "bin/a", "bin/b", "etc", "etc/new", "sbin"]),
        ([directory("etc"), file("etc/.wh..wh..opq", b""), file("etc/new")],
         ["bin", "bin/a", "bin/b", "etc", "etc/new", "sbin"]),
        ([file("etc/conf.d/new"), file("etc/.wh..wh..opq", b"")],
         ["bin", "bin/a", "bin/b", "etc", "etc/conf.d", "etc/conf.d/new", "sbin"]),
        ([file("etc/conf.d/one", b"new"), file("etc/conf.d/.wh.one", b""), file("bin/.wh.a", b"")],
         ["bin", "bin/b", "etc", "etc/conf.d", "etc/conf.d/one", "etc/conf.d/two", "sbin"]),
        ([directory("etc"), file("etc/new"), file(".wh.etc", b"")],
         ["bin", "bin/a", "bin/b", "etc", "etc/new", "sbin"]),
        ([file("sbin/.wh.a", b""), file(".wh.etc", b"")], ["bin", "bin/b", "sbin"]),
        ([file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs", b""), file(".wh.etc", b"")],
         ["bin", "bin/a", "bin/b", "sbin"]),
        ([file("sbin/c"), file(".wh.etc", b"")], ["bin", "bin/a", "bin/b", "bin/c", "sbin"]),
        ([directory("sbin"), file(".wh.etc", b"")], ["bin", "bin/a", "bin/b", "sbin"]),
    ],
)  # fmt: skip
def test_whiteouts(tmp_path: Path, upper: list, expected: list[str]) -> None:  # type: ignore[type-arg]
    built = _one(docker_archive([_BASE, tar_of(*upper)], None), tmp_path)
    assert _names(built) == expected


def test_upper_layer_replaces_without_writing_through(tmp_path: Path) -> None:
    lower = tar_of(file("a", b"lower"), link("b", "a"), symlink("l", "a"), directory("d"), file("d/x"))
    upper = tar_of(file("a", b"upper"), file("l", b"file"), symlink("d", "a"))

    root = _one(docker_archive([lower, upper], None), tmp_path).rootfs_staging

    assert [(root / name).read_bytes() for name in "abl"] == [b"upper", b"lower", b"file"]
    assert os.readlink(root / "d") == "a"


def test_upper_layer_may_link_to_the_lower(tmp_path: Path) -> None:
    root = _one(docker_archive([tar_of(file("a")), tar_of(link("b", "a"))], None), tmp_path).rootfs_staging
    assert (root / "a").stat().st_ino == (root / "b").stat().st_ino


def test_directory_metadata_is_that_of_the_highest_layer(tmp_path: Path) -> None:
    layers = [
        tar_of(directory("a", mode=0o555, mtime=1), directory("b", mode=0o700, mtime=2)),
        tar_of(directory("a", mode=0o711, mtime=3), file("a/f")),
    ]

    root = _one(docker_archive(layers, None), tmp_path).rootfs_staging

    found = {name: (root / name).stat() for name in "ab"}
    assert {n: (stat.S_IMODE(s.st_mode), int(s.st_mtime)) for n, s in found.items()} == {
        "a": (0o711, 3),
        "b": (0o700, 2),
    }


def test_docker_archive(tmp_path: Path) -> None:
    archive = docker_archive([_BASE], ["busybox:1", "me/x:latest"], Volumes={"/v": {}}, User="u")
    seen: list[int] = []

    (built,) = ArchiveImageBuilder().load(io.BytesIO(archive), tmp_path, seen.append)

    config = config_json([_BASE], Volumes={"/v": {}}, User="u")
    assert built.image.id == sha256(config)
    assert built.references == ("busybox:1", "me/x:latest")
    assert (built.image.config.volumes, built.image.config.user, built.image.config.env) == (
        {"/v": {}},
        "u",
        ["PATH=/bin"],
    )
    assert built.image.layers == [sha256(_BASE)]
    assert built.image.size == len(b"lower alower b") + 2 * len(b"content")
    assert seen == sorted(seen)
    assert seen[-1] == len(archive)
    assert os.listdir(built.rootfs_staging.parent) == ["rootfs"]


def test_compressed_archive(tmp_path: Path) -> None:
    built = _one(gzip.compress(docker_archive([_BASE], ["x:1"])), tmp_path)
    assert built.references == ("x:1",)


def test_layers_that_are_links_as_old_docker_wrote_them(tmp_path: Path) -> None:
    layer = tar_of(file("f"))
    manifests = [
        {"Config": "one.json", "RepoTags": ["one:1"], "Layers": ["a/layer.tar"]},
        {"Config": "one.json", "RepoTags": ["two:2"], "Layers": ["b/layer.tar"]},
        {"Config": "one.json", "RepoTags": ["three:3"], "Layers": ["c/layer.tar"]},
    ]
    archive = tar_of(
        symlink("b/layer.tar", "../a/layer.tar"),
        file("a/layer.tar", layer),
        link("c/layer.tar", "a/layer.tar"),
        file("one.json", config_json([layer])),
        file("repositories", b"{}"),
        file("manifest.json", json.dumps(manifests).encode()),
    )

    built = _load(archive, tmp_path)

    assert [b.references for b in built] == [("one:1",), ("two:2",), ("three:3",)]
    assert len({b.rootfs_staging for b in built}) == 3
    assert all((b.rootfs_staging / "f").exists() for b in built)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_oci_archive(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    layers = [_BASE, tar_of(file(".wh.etc", b""))]
    archive = oci_archive(layers, compress=compress, annotations={"io.containerd.image.name": "docker.io/library/x:1"})

    built = _one(archive, tmp_path)

    assert built.references == ("docker.io/library/x:1",)
    assert built.image.id == sha256(config_json(layers))
    assert _names(built) == ["bin", "bin/a", "bin/b", "sbin"]


def test_oci_archive_with_zstd_layers(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    assert _names(_one(oci_archive([tar_of(file("f"))], compress=zstandard.compress), tmp_path)) == ["f"]


@pytest.mark.parametrize(
    ("annotations", "references"),
    [
        ({}, ()),
        ({"org.opencontainers.image.ref.name": "latest"}, ()),
        ({"org.opencontainers.image.ref.name": "localhost/x:1"}, ("localhost/x:1",)),
        ({"org.opencontainers.image.ref.name": "1", "io.containerd.image.name": "x:1"}, ("x:1",)),
    ],
)
def test_oci_names(tmp_path: Path, annotations: dict[str, str], references: tuple[str, ...]) -> None:
    assert _one(oci_archive([_BASE], annotations=annotations), tmp_path).references == references


def test_index_with_platforms_gives_ours(tmp_path: Path) -> None:
    archive = oci_archive([_BASE], platforms=["arm64", "amd64"])
    assert len(_load(archive, tmp_path, "x86_64")) == len(_load(archive, tmp_path, "aarch64")) == 1
    with pytest.raises(
        InvalidSpec, match="no image for platform linux/riscv64 in the archive, only linux/amd64, linux/arm64"
    ):
        _load(archive, tmp_path, "riscv64")


def _manifest(**changes: object) -> bytes:
    layer = tar_of(file("f"))
    manifest = {"Config": "c.json", "RepoTags": None, "Layers": ["l.tar"], **changes}
    return tar_of(
        file("c.json", config_json([layer])),
        file("l.tar", layer),
        file("other.tar", tar_of(file("g"))),
        symlink("round", "round"),
        symlink("away", "../../../../etc/passwd"),
        file("manifest.json", json.dumps([manifest]).encode()),
    )


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (tar_of(file("f")), "invalid archive: does not contain a manifest.json"),
        (tar_of(file("manifest.json", b"{")), "invalid archive: manifest.json: "),
        (tar_of(file("manifest.json", b'[{"Config": 5}]')), "invalid archive: manifest.json: "),
        (_manifest(Config="none.json"), "invalid archive: 'none.json' is missing"),
        (_manifest(Config="/etc/passwd"), "entry '/etc/passwd' has an absolute name"),
        (_manifest(Config="../c.json"), "entry '../c.json' leads out of the archive"),
        (_manifest(Config="away"), "invalid archive: 'away' is missing"),
        (_manifest(Config="l.tar"), "invalid image config: "),
        (_manifest(Layers=[]), "invalid manifest, layers length mismatch: expected 1, got 0"),
        (_manifest(Layers=["missing.tar"]), "invalid archive: 'missing.tar' is missing"),
        (_manifest(Layers=["other.tar"]), "invalid diffID for layer 0: expected "),
        (tar_of(file("manifest.json", b"[]"), file("manifest.json", b"[]")), "entry 'manifest.json' is there twice"),
        (tar_of(file("../x")), "entry '../x' leads out of the archive"),
        (oci_archive([_BASE], corrupt=True), "does not have its digest but"),
        (tar_of(file("index.json", b'{"manifests": [{"digest": "md5:00"}]}')), "unsupported digest 'md5:00'"),
        (tar_of(file("index.json", b'{"manifests": [{"digest": "sha256:../../x"}]}')), "unsupported digest"),
        (
            tar_of(file("index.json", b'{"manifests": [{"digest": "sha256:' + b"0" * 64 + b'"}]}')),
            "is missing",
        ),
    ],
)
def test_bad_archive_is_invalid(tmp_path: Path, archive: bytes, message: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        _load(archive, tmp_path)
    assert message in str(caught.value)


def test_circle_of_links_is_an_error(tmp_path: Path) -> None:
    with pytest.raises((InvalidSpec, OSError), match="symbolic links"):
        _load(_manifest(Config="round"), tmp_path)


def test_zstd_without_its_package_is_unsupported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    archive = oci_archive([_BASE], compress=lambda content: b"\x28\xb5\x2f\xfd" + content)
    with pytest.raises(Unsupported, match=r"pip install 'volfuse\[zstd\]'"):
        _load(archive, tmp_path)


def test_empty_list_of_images_loads_nothing(tmp_path: Path) -> None:
    assert _load(tar_of(file("manifest.json", b"[]")), tmp_path) == []
