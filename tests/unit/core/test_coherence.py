"""Who chooses a mount's coherence, and how it is written."""

from __future__ import annotations

import pytest

from tests.unit.core.support import Engine
from volfuse.core.binds import parse_bind
from volfuse.core.coherence import Coherence, chosen_by, default_coherence, parse_coherence
from volfuse.core.wire import BindOptions, Driver, Mount, VolumeOptions
from volfuse.errors import InvalidSpec

LEASE = VolumeOptions(driver_config=Driver(options={"coherence": "lease"}))


@pytest.mark.parametrize("text", ["strict", "lease", "exact"])
def test_each_is_written_as_it_is_called(text: str) -> None:
    assert parse_coherence(text).value == text


@pytest.mark.parametrize("text", ["", "Lease", "leases", " lease"])
def test_all_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        chosen_by({"coherence": text})
    assert str(error.value) == f'invalid value for coherence: {text} (must be "strict", "lease", or "exact")'


def test_options_may_leave_it_open() -> None:
    assert chosen_by(None) is chosen_by({}) is chosen_by({"o": "coherence=lease"}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/h:/c", None),
        ("/h:/c:ro", None),
        ("/h:/c:coherence=lease", Coherence.LEASE),
        ("/h:/c:ro,coherence=exact", Coherence.EXACT),
        ("n1:/c:coherence=strict,nocopy", Coherence.STRICT),
    ],
)
def test_the_mode_of_a_bind_string_chooses(text: str, expected: Coherence | None) -> None:
    assert parse_bind(text).mode.coherence is expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"binds": ("/h:/c",)}, None),
        ({"binds": ("/h:/c:ro,coherence=lease",)}, Coherence.LEASE),
        ({"binds": ("n1:/c:coherence=exact",)}, Coherence.EXACT),
        ({"volumes": ("/c",)}, None),
        ({"mounts": (Mount(type="volume", source="n1", target="/c"),)}, None),
        ({"mounts": (Mount(type="volume", source="n1", target="/c", volume_options=LEASE),)}, Coherence.LEASE),
        ({"mounts": (Mount(type="volume", target="/c", volume_options=LEASE),)}, Coherence.LEASE),
        ({"mounts": (Mount(type="bind", source="/there", target="/c"),)}, None),
        (
            {
                "mounts": (
                    Mount(type="bind", source="/there", target="/c", bind_options=BindOptions(coherence="lease")),
                )
            },
            Coherence.LEASE,
        ),
        ({"mounts": (Mount(type="tmpfs", target="/c"),)}, None),
    ],
)
def test_a_mount_point_has_what_was_asked_for_and_lends_it_along_a_chain(
    request_: dict[str, object], expected: Coherence | None
) -> None:
    engine = Engine()
    engine.create("c1", **request_)
    engine.create("c2", volumes_from=("c1:ro",))
    engine.create("c3", volumes_from=("c2",))
    assert [engine.find(name).mounts[0].coherence for name in ("c1", "c2", "c3")] == [expected] * 3


def test_a_volume_is_made_with_the_option_of_its_mount_but_not_of_its_mode() -> None:
    engine = Engine()
    by_mount = engine.resolve(mounts=(Mount(type="volume", source="n1", target="/c", volume_options=LEASE),))
    by_mode = engine.resolve(binds=("n1:/c:coherence=lease",))
    assert [volume.options for volume in by_mount.volumes] == [{"coherence": "lease"}]
    assert [volume.options for volume in by_mode.volumes] == [None]


@pytest.mark.parametrize(
    ("option", "environ", "expected"),
    [
        (None, {}, Coherence.STRICT),
        (None, {"VOLFUSE_COHERENCE": ""}, Coherence.STRICT),
        (None, {"VOLFUSE_COHERENCE": "lease"}, Coherence.LEASE),
        ("exact", {"VOLFUSE_COHERENCE": "lease"}, Coherence.EXACT),
        ("strict", {"VOLFUSE_COHERENCE": "fast"}, Coherence.STRICT),
    ],
)
def test_the_default_comes_from_the_option_or_the_environment(
    option: str | None, environ: dict[str, str], expected: Coherence
) -> None:
    assert default_coherence(option, environ) is expected


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(InvalidSpec, match="VOLFUSE_COHERENCE: invalid value for coherence: fast"):
        default_coherence(None, {"VOLFUSE_COHERENCE": "fast"})
