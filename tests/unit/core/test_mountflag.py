"""The command line's parsing of `-v`, `--mount` and `--tmpfs`.

Expected values: docker-semantics 2.1 and 2.4, scenario 23, docker/cli 28.5 opts/mount_test.go and its messages.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.core.csvfields import split_csv
from volfuse.core.mountflag import (
    AnonymousVolume,
    Bind,
    parse_mount_flag,
    parse_tmpfs_flag,
    parse_volume_flag,
    parse_volume_flags,
)
from volfuse.core.wire import BindOptions, Driver, Mount, TmpfsOptions, VolumeOptions
from volfuse.errors import InvalidSpec

NO_DRIVER = Driver()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", AnonymousVolume("/data")),
        ("rel", AnonymousVolume("rel")),
        ("/", AnonymousVolume("/")),
        ("/a", AnonymousVolume("/a")),
        ("x:/m", AnonymousVolume("x:/m")),
        ("n1:/m", Bind("n1:/m")),
        ("n1:/m:ro", Bind("n1:/m:ro")),
        ("n1:rel", Bind("n1:rel")),
        ("n1:/m:bogus", Bind("n1:/m:bogus")),
        ("rel/path:/m", Bind("rel/path:/m")),
        ("~/x:/m", Bind("~/x:/m")),
        ("/h:/m", Bind("/h:/m")),
        ("./rel:/m", Bind("/here/rel:/m")),
        (".:/m:ro", Bind("/here:/m:ro")),
        ("../x:/m", Bind("/x:/m")),
        ("bad name:/m", Bind("bad name:/m")),
    ],
)
def test_volume_flag(text: str, expected: AnonymousVolume | Bind) -> None:
    assert parse_volume_flag(text, "/here") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid empty volume spec"),
        (":/m", "invalid spec: :/m: empty section between colons"),
        ("n1:", "invalid spec: n1:: empty section between colons"),
        ("n1::ro", "invalid spec: n1::ro: empty section between colons"),
        ("n1:/m:", "invalid spec: n1:/m:: empty section between colons"),
        ("n1:/m:ro:x", "invalid spec: n1:/m:ro:x: too many colons"),
    ],
)
def test_bad_volume_flag(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        parse_volume_flag(text, "/here")
    assert str(error.value) == message


def test_equal_volume_flags_count_once_and_keep_their_order() -> None:
    flags = parse_volume_flags(["n1:/m", "/a1", "n2:/n", "n1:/m", "/a1", "n1:/m/"], "/here")
    assert flags.binds == ("n1:/m", "n2:/n", "n1:/m/")
    assert flags.anonymous == ("/a1",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("/t", ("/t", "")), ("/t:size=1m,exec", ("/t", "size=1m,exec")), ("/t:a:b", ("/t", "a:b"))],
)
def test_tmpfs_flag(text: str, expected: tuple[str, str]) -> None:
    assert parse_tmpfs_flag(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target=/m", Mount(type="volume", target="/m")),
        ("type=volume,src=n1,dst=/m", Mount(type="volume", source="n1", target="/m")),
        ("TYPE=Bind,SOURCE=/h,Destination=/m,ro", Mount(type="bind", source="/h", target="/m", read_only=True)),
        ("type=bind,src=./h,dst=/m", Mount(type="bind", source="/here/h", target="/m")),
        ("src=n1,dst=/m,readonly=false", Mount(type="volume", source="n1", target="/m")),
        ("src=n1,dst=/m,readonly=1", Mount(type="volume", source="n1", target="/m", read_only=True)),
        ("dst=/m,consistency=Cached", Mount(type="volume", target="/m", consistency="cached")),
        (
            "type=bind,src=/h,dst=/m,bind-propagation=RShared,bind-recursive=disabled",
            Mount(
                type="bind",
                source="/h",
                target="/m",
                bind_options=BindOptions(propagation="rshared", non_recursive=True),
            ),
        ),
        ("type=bind,src=/h,dst=/m,bind-recursive=enabled", Mount(type="bind", source="/h", target="/m")),
        (
            "type=bind,src=/h,dst=/m,ro,bind-recursive=readonly,bind-propagation=rprivate",
            Mount(
                type="bind",
                source="/h",
                target="/m",
                read_only=True,
                bind_options=BindOptions(propagation="rprivate", read_only_force_recursive=True),
            ),
        ),
        (
            "type=bind,src=/h,dst=/m,bind-create-src",
            Mount(type="bind", source="/h", target="/m", bind_options=BindOptions(create_mountpoint=True)),
        ),
        (
            "type=bind,src=/h,dst=/m,coherence=lease",
            Mount(type="bind", source="/h", target="/m", bind_options=BindOptions(coherence="lease")),
        ),
        (
            "src=n1,dst=/m,volume-opt=coherence=lease",
            Mount(
                type="volume",
                source="n1",
                target="/m",
                volume_options=VolumeOptions(driver_config=Driver(options={"coherence": "lease"})),
            ),
        ),
        (
            "src=n1,dst=/m,volume-nocopy",
            Mount(
                type="volume",
                source="n1",
                target="/m",
                volume_options=VolumeOptions(no_copy=True, driver_config=NO_DRIVER),
            ),
        ),
        (
            "src=n1,dst=/m,volume-subpath=a/b",
            Mount(
                type="volume",
                source="n1",
                target="/m",
                volume_options=VolumeOptions(subpath="a/b", driver_config=NO_DRIVER),
            ),
        ),
        (
            "src=n1,dst=/m,volume-label=a=1,volume-label=b,volume-driver=foo,volume-opt=k=v=w",
            Mount(
                type="volume",
                source="n1",
                target="/m",
                volume_options=VolumeOptions(
                    labels={"a": "1", "b": ""}, driver_config=Driver(name="foo", options={"k": "v=w"})
                ),
            ),
        ),
        (
            'src=n1,dst=/m,"volume-opt=o=a,b"',
            Mount(
                type="volume",
                source="n1",
                target="/m",
                volume_options=VolumeOptions(driver_config=Driver(options={"o": "a,b"})),
            ),
        ),
        (
            "type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=0700",
            Mount(type="tmpfs", target="/m", tmpfs_options=TmpfsOptions(size_bytes=1 << 20, mode=448)),
        ),
        (
            "type=image,src=i,dst=/m,image-subpath=a",
            Mount(type="image", source="i", target="/m", image_options={"Subpath": "a"}),
        ),
        ("type=bogus,src=n1,dst=/m", Mount(type="bogus", source="n1", target="/m")),
    ],
)
def test_mount_flag(text: str, expected: Mount) -> None:
    assert parse_mount_flag(text, "/here") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "EOF"),
        ("type=volume,src=n1", "target is required"),
        ("type=,dst=/m", "type is required"),
        ("src=n1,dst=/m,bogus=1", "unexpected key 'bogus' in 'bogus=1'"),
        ("src=n1,dst=/m,bogus", "invalid field 'bogus' must be a key=value pair"),
        ("src=n1,dst=/m,", "invalid field '' must be a key=value pair"),
        ("dst=/m,readonly=no", "invalid value for readonly: no"),
        ("dst=/m,volume-nocopy=maybe", "invalid value for volume-nocopy: maybe"),
        (
            "type=bind,src=/h,dst=/m,bind-recursive=x",
            'invalid value for bind-recursive: x (must be "enabled", "disabled", "writable", or "readonly")',
        ),
        (
            "type=bind,src=/h,dst=/m,bind-recursive=writable",
            "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
        ),
        (
            "type=bind,src=/h,dst=/m,bind-recursive=readonly",
            "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
        ),
        (
            "type=bind,src=/h,dst=/m,ro,bind-recursive=readonly",
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
        ),
        ("type=bind,src=/h,dst=/m,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
        ("src=n1,dst=/m,bind-propagation=rslave", "cannot mix 'bind-*' options with mount type 'volume'"),
        (
            "type=bind,src=/h,dst=/m,coherence=fast",
            'invalid value for coherence: fast (must be "strict", "lease", or "exact")',
        ),
        (
            "type=bind,src=/h,dst=/m,coherence",
            "invalid field 'coherence' must be a key=value pair",
        ),
        (
            "type=bind,src=/h,dst=/m,coherence=lease,coherence=exact",
            "option 'coherence' must be specified once",
        ),
        (
            "coherence=lease,src=n1,dst=/m",
            "option 'coherence' requires mount type 'bind': for a volume it is 'volume-opt=coherence=lease'",
        ),
        ("src=n1,dst=/m,tmpfs-size=1m", "cannot mix 'tmpfs-*' options with mount type 'volume'"),
        ("src=n1,dst=/m,image-subpath=a", "cannot mix 'image-*' options with mount type 'volume'"),
        ("type=tmpfs,dst=/m,tmpfs-size=big", "invalid value for tmpfs-size: big"),
        ("type=tmpfs,dst=/m,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
        ('dst=/m,a"b', 'parse error on line 1, column 9: bare " in non-quoted-field'),
        ('"dst=/m', 'parse error on line 1, column 8: extraneous or missing " in quoted-field'),
        ('"dst"=/m', 'parse error on line 1, column 5: extraneous or missing " in quoted-field'),
    ],
)
def test_bad_mount_flag(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        parse_mount_flag(text, "/here")
    assert str(error.value) == message


@given(st.lists(st.text(alphabet='ab,"\n =', min_size=1), min_size=1))
def test_quoted_fields_hold_anything(fields: list[str]) -> None:
    text = ",".join('"' + field.replace('"', '""') + '"' for field in fields)
    assert split_csv(text) == fields
