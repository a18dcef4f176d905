"""Bind strings and modes. Expected values: docker-semantics 2.2 and moby's volume/mounts tests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volfuse.core.binds import Bind, HostPath, VolumeBind, parse_bind
from volfuse.core.modes import Mode, parse_mode
from volfuse.errors import InvalidSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", VolumeBind("", "/data")),
        ("n1:/p", VolumeBind("n1", "/p")),
        ("n1:/p/", VolumeBind("n1", "/p")),
        ("n1:/p:ro", VolumeBind("n1", "/p", Mode("ro"))),
        ("n1:/p:nocopy,ro", VolumeBind("n1", "/p", Mode("nocopy,ro"))),
        ("n1:/p:cached", VolumeBind("n1", "/p", Mode("cached"))),
        ("n1:/p:", VolumeBind("n1", "/p")),
        ("rel/path:/m", VolumeBind("rel/path", "/m")),
        ("/h:/p", HostPath("/h", "/p")),
        ("/h/../i/:/p", HostPath("/i", "/p")),
        ("/h:/p:rw,rprivate", HostPath("/h", "/p", Mode("rw,rprivate"))),
        ("/h:/p:ro,coherence=lease", HostPath("/h", "/p", Mode("ro,coherence=lease"))),
        ("n1:/p:coherence=exact", VolumeBind("n1", "/p", Mode("coherence=exact"))),
        ("/h:/p:ro,Z,rslave,delegated", HostPath("/h", "/p", Mode("ro,Z,rslave,delegated"))),
    ],
)
def test_valid(text: str, expected: Bind) -> None:
    assert parse_bind(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid volume specification: ''"),
        (":/m", "invalid volume specification: ':/m'"),
        ("n1:", "invalid volume specification: 'n1:'"),
        ("/foo:ro", "invalid volume specification: '/foo:ro'"),
        ("n1:/m:ro:x", "invalid volume specification: 'n1:/m:ro:x'"),
        ("n1:/m:bogus", "invalid mode: bogus"),
        ("n1:/m:ro,rw", "invalid mode: ro,rw"),
        ("n1:/m:z,Z", "invalid mode: z,Z"),
        ("/h:/m:shared,slave", "invalid mode: shared,slave"),
        ("n1:/m:ro,", "invalid mode: ro,"),
        ("/h:/m:coherence=fast", "invalid mode: coherence=fast"),
        ("/h:/m:coherence", "invalid mode: coherence"),
        ("/h:/m:Coherence=lease", "invalid mode: Coherence=lease"),
        ("/h:/m:coherence=lease,coherence=lease", "invalid mode: coherence=lease,coherence=lease"),
        ("n1:/m:coherence=lease,ro,coherence=exact", "invalid mode: coherence=lease,ro,coherence=exact"),
        ("/foo:coherence=lease", "invalid volume specification: '/foo:coherence=lease'"),
        (
            "n1:/",
            "invalid volume specification: 'n1:/': invalid mount config for type \"volume\": "
            "invalid specification: destination can't be '/'",
        ),
        (
            "n1:rel",
            "invalid volume specification: 'n1:rel': invalid mount config for type \"volume\": "
            "invalid mount path: 'rel' mount path must be absolute",
        ),
        (
            "n1::ro",
            "invalid volume specification: 'n1::ro': invalid mount config for type \"volume\": "
            "field Target must not be empty",
        ),
        (
            "n1:/m:rslave",
            "invalid volume specification: 'n1:/m:rslave': invalid mount config for type \"volume\": "
            "field BindOptions must not be specified",
        ),
        (
            "/h:/m:nocopy",
            "invalid volume specification: '/h:/m:nocopy': invalid mount config for type \"bind\": "
            "field VolumeOptions must not be specified",
        ),
    ],
)
def test_invalid(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        parse_bind(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "read_only", "propagation", "no_copy"),
    [
        ("", False, "", False),
        ("rw", False, "", False),
        ("ro,rshared", True, "rshared", False),
        ("nocopy", False, "", True),
    ],
)
def test_mode_says_what_it_holds(text: str, read_only: bool, propagation: str, no_copy: bool) -> None:
    mode = parse_mode(text)
    assert (mode.read_only, mode.propagation, mode.no_copy) == (read_only, propagation, no_copy)


NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{1,8}", fullmatch=True)
DESTINATIONS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
BINDS = st.builds(VolumeBind, NAMES, DESTINATIONS, st.sampled_from(["", "ro", "rw,nocopy", "z"]).map(Mode)) | st.builds(
    HostPath, DESTINATIONS, DESTINATIONS, st.sampled_from(["", "ro", "rw,rslave", "Z"]).map(Mode)
)


@given(BINDS)
def test_what_a_bind_spells_parses_to_the_same_bind(bind: Bind) -> None:
    assert parse_bind(str(bind)) == bind


@given(st.text(alphabet="a/:ro,z.", max_size=14))
def test_any_text_gives_a_bind_with_an_absolute_destination_or_a_clear_error(text: str) -> None:
    try:
        bind = parse_bind(text)
    except InvalidSpec as error:
        assert str(error)
    else:
        assert bind.destination.startswith("/")
        assert bind.destination != "/"
