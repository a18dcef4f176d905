"""Mount points as JSON. Expected values: docker-semantics 4 and scenario 21."""

from __future__ import annotations

from volfuse.core.coherence import Coherence
from volfuse.core.ids import VolumeName
from volfuse.core.inspect import mount_json, mounts_json
from volfuse.core.model import MountPoint, MountType


def test_a_volume_shows_all_fields() -> None:
    mount = MountPoint(
        type=MountType.VOLUME,
        destination="/p2",
        source="/v/n2/_data",
        name=VolumeName("n2"),
        driver="local",
        mode="ro",
        rw=False,
    )
    assert mount_json(mount) == {
        "Type": "volume",
        "Name": "n2",
        "Source": "/v/n2/_data",
        "Destination": "/p2",
        "Driver": "local",
        "Mode": "ro",
        "RW": False,
        "Propagation": "",
    }


def test_a_bind_has_no_name_and_no_driver() -> None:
    mount = MountPoint(type=MountType.BIND, destination="/p6", source="/h", propagation="rprivate")
    assert mount_json(mount) == {
        "Type": "bind",
        "Source": "/h",
        "Destination": "/p6",
        "Mode": "",
        "RW": True,
        "Propagation": "rprivate",
    }


def test_coherence_is_shown_where_it_was_chosen() -> None:
    mount = MountPoint(type=MountType.BIND, destination="/p6", source="/h", coherence=Coherence.LEASE)
    assert mount_json(mount)["Coherence"] == "lease"
    assert "Coherence" not in mount_json(MountPoint(type=MountType.BIND, destination="/p6", source="/h"))


def test_hidden_mounts_are_left_out_and_the_others_sorted() -> None:
    mounts = [
        MountPoint(type=MountType.TMPFS, destination="/z"),
        MountPoint(type=MountType.TMPFS, destination="/b", hidden=True),
        MountPoint(type=MountType.TMPFS, destination="/a"),
    ]
    assert [entry["Destination"] for entry in mounts_json(mounts)] == ["/a", "/z"]
