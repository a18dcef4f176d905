"""Checks of `HostConfig.Mounts`. Expected values: docker-semantics 2.3."""

from __future__ import annotations

import pytest

from volfuse.core.mountcheck import check_mount, check_mounts
from volfuse.core.wire import BindOptions, Driver, Mount, TmpfsOptions, VolumeOptions
from volfuse.errors import InvalidSpec, Unsupported


def exists(path: str) -> bool:
    return path == "/there"


@pytest.mark.parametrize(
    "mount",
    [
        Mount(type="volume", target="/m"),
        Mount(type="volume", source="n1", target="/m", read_only=True),
        Mount(type="volume", source="n1", target="/m", volume_options=VolumeOptions(subpath="a/b")),
        Mount(type="bind", source="/there", target="/m"),
        Mount(type="bind", source="/missing", target="/m", bind_options=BindOptions(create_mountpoint=True)),
        Mount(type="tmpfs", target="/m", tmpfs_options=TmpfsOptions(size_bytes=1 << 20, options=[["noexec"]])),
    ],
)
def test_valid(mount: Mount) -> None:
    check_mounts([mount], source_exists=exists)


@pytest.mark.parametrize(
    ("mount", "tail"),
    [
        (Mount(type="volume"), "field Target must not be empty"),
        (Mount(type="bogus"), "field Target must not be empty"),
        (Mount(type="volume", target="/a/.."), "invalid specification: destination can't be '/'"),
        (Mount(type="volume", target="\\"), "invalid specification: destination can't be '/'"),
        (Mount(type="volume", target="rel"), "invalid mount path: 'rel' mount path must be absolute"),
        (Mount(type="bogus", target="/m"), "mount type unknown"),
        (Mount(type="bind", target="/m"), "field Source must not be empty"),
        (
            Mount(type="bind", source="/there", target="/m", bind_options=BindOptions(propagation="bogus")),
            "invalid propagation mode: bogus",
        ),
        (
            Mount(type="bind", source="/there", target="/m", bind_options=BindOptions(coherence="fast")),
            'invalid value for coherence: fast (must be "strict", "lease", or "exact")',
        ),
        (
            Mount(
                type="volume",
                target="/m",
                volume_options=VolumeOptions(driver_config=Driver(options={"coherence": "fast"})),
            ),
            'invalid value for coherence: fast (must be "strict", "lease", or "exact")',
        ),
        (
            Mount(type="bind", source="rel", target="/m", volume_options=VolumeOptions()),
            "field VolumeOptions must not be specified",
        ),
        (
            Mount(type="bind", source="/there", target="/m", image_options={}),
            "field ImageOptions must not be specified",
        ),
        (Mount(type="bind", source="rel", target="/m"), "invalid mount path: 'rel' mount path must be absolute"),
        (Mount(type="bind", source="/missing", target="/m"), "bind source path does not exist: /missing"),
        (
            Mount(type="volume", target="/m", bind_options=BindOptions(), volume_options=VolumeOptions(subpath="a")),
            "field BindOptions must not be specified",
        ),
        (
            Mount(type="volume", target="/m", volume_options=VolumeOptions(subpath="../a")),
            "must not set Subpath when using anonymous volumes",
        ),
        (
            Mount(type="volume", source="n1", target="/m", volume_options=VolumeOptions(subpath="a/../../b")),
            "subpath must be a relative path within the volume",
        ),
        (
            Mount(type="volume", source="n1", target="/m", volume_options=VolumeOptions(subpath="/a")),
            "subpath must be a relative path within the volume",
        ),
        (
            Mount(type="volume", target="/m", read_only=True),
            "must not set ReadOnly mode when using anonymous volumes",
        ),
        (Mount(type="tmpfs", source="n1", target="/m"), "field Source must not be specified"),
        (
            Mount(type="tmpfs", target="/m", tmpfs_options=TmpfsOptions(options=[["uid", "0"]])),
            "invalid option: uid",
        ),
        (
            Mount(type="tmpfs", target="/m", tmpfs_options=TmpfsOptions(options=[[]])),
            "invalid option array length",
        ),
        (Mount(type="image", target="/m"), "field Source must not be empty"),
        (
            Mount(type="image", source="i", target="/m", image_options={"Subpath": ".."}),
            "subpath must be a relative path within the volume",
        ),
    ],
)
def test_invalid(mount: Mount, tail: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        check_mount(mount, source_exists=exists)
    assert str(error.value) == f'invalid mount config for type "{mount.type}": {tail}'


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        (
            Mount(type="bind", volume_options=VolumeOptions()),
            'VolumeOptions must not be specified on mount type "bind"',
        ),
        (Mount(type="volume", bind_options=BindOptions()), 'BindOptions must not be specified on mount type "volume"'),
        (Mount(type="bind", tmpfs_options=TmpfsOptions()), 'TmpfsOptions must not be specified on mount type "bind"'),
    ],
)
def test_options_of_another_type_are_refused_before_all_else(mount: Mount, message: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        check_mounts([Mount(type="volume"), mount], source_exists=exists)
    assert str(error.value) == message


def test_mounts_of_images_are_said_to_be_unsupported() -> None:
    with pytest.raises(Unsupported, match="does not mount images"):
        check_mounts([Mount(type="image", source="i", target="/m")], source_exists=exists)
