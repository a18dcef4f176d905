"""Resolution of mounts. Expected values: docker-semantics 2.5, 2.6 and 4, and the recorded scenarios."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.core.support import Engine
from volfuse.core.inspect import mounts_json
from volfuse.core.model import Container, MountPoint, MountType
from volfuse.core.resolve import Resolution, VolumeRequest
from volfuse.core.wire import BindOptions, Driver, Mount, TmpfsOptions, VolumeOptions
from volfuse.errors import InvalidSpec, VolfuseError

ID1 = f"{1:064x}"
ID2 = f"{2:064x}"


@pytest.fixture
def engine() -> Engine:
    return Engine()


def lines(found: Resolution | Container) -> list[str]:
    """Return mounts as the scenarios print them."""
    shown = []
    for entry in mounts_json(found.mounts):
        keys = ("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation")
        words = [f"{key}={str(entry[key]).lower() if key == 'RW' else entry[key]}" for key in keys if key in entry]
        shown.append(" ".join(words))
    return shown


def one(resolution: Resolution) -> MountPoint:
    (mount,) = resolution.mounts
    return mount


def test_volume_flags_resolve_as_in_scenario_21(engine: Engine) -> None:
    resolution = engine.resolve(
        volumes=("/p5",),
        binds=("n1:/p1", "n2:/p2:ro", "n3:/p3:rw", "n4:/p4:z", "/h:/p6", "/h:/p7:ro", "/h:/p8:rw,rprivate"),
    )
    assert lines(resolution) == [
        "Type=volume Name=n1 Source=/v/n1/_data Destination=/p1 Driver=local Mode=z RW=true Propagation=",
        "Type=volume Name=n2 Source=/v/n2/_data Destination=/p2 Driver=local Mode=ro RW=false Propagation=",
        "Type=volume Name=n3 Source=/v/n3/_data Destination=/p3 Driver=local Mode=rw RW=true Propagation=",
        "Type=volume Name=n4 Source=/v/n4/_data Destination=/p4 Driver=local Mode=z RW=true Propagation=",
        f"Type=volume Name={ID1} Source=/v/{ID1}/_data Destination=/p5 Driver=local Mode= RW=true Propagation=",
        "Type=bind Source=/h Destination=/p6 Mode= RW=true Propagation=rprivate",
        "Type=bind Source=/h Destination=/p7 Mode=ro RW=false Propagation=rprivate",
        "Type=bind Source=/h Destination=/p8 Mode=rw,rprivate RW=true Propagation=rprivate",
    ]
    assert [v.name for v in resolution.volumes if not v.anonymous] == ["n1", "n2", "n3", "n4"]
    assert [v.name for v in resolution.volumes if v.anonymous] == [ID1]


def test_mount_flags_resolve_as_section_4_says() -> None:
    resolution = Engine(("/there", "/there/")).resolve(
        mounts=(
            Mount(type="volume", source="n1", target="/a", read_only=True),
            Mount(type="volume", target="/b/"),
            Mount(type="bind", source="/there", target="/c", read_only=True),
            Mount(type="bind", source="/there/", target="/d", bind_options=BindOptions(propagation="rslave")),
            Mount(type="tmpfs", target="/e", read_only=True),
        )
    )
    assert lines(resolution) == [
        "Type=volume Name=n1 Source=/v/n1/_data Destination=/a Driver=local Mode=z RW=false Propagation=",
        f"Type=volume Name={ID1} Source=/v/{ID1}/_data Destination=/b Driver=local Mode=z RW=true Propagation=",
        "Type=bind Source=/there Destination=/c Mode= RW=false Propagation=rprivate",
        "Type=bind Source=/there Destination=/d Mode= RW=true Propagation=rslave",
        "Type=tmpfs Source= Destination=/e Mode= RW=false Propagation=",
    ]


@pytest.mark.parametrize(
    ("bind", "copy_up"),
    [("n1:/m", True), ("n1:/m:ro", True), ("n1:/m:nocopy", False), ("/m", True), ("/h:/m", False)],
)
def test_what_a_bind_fills_from_the_image(engine: Engine, bind: str, copy_up: bool) -> None:
    assert one(engine.resolve(binds=(bind,))).copy_up is copy_up


def test_nocopy_of_a_mount_is_kept(engine: Engine) -> None:
    options = VolumeOptions(no_copy=True, subpath="a/b")
    mount = one(engine.resolve(mounts=(Mount(type="volume", source="n1", target="/m", volume_options=options),)))
    assert not mount.copy_up
    assert mount.subpath == "a/b"


@pytest.mark.parametrize(("bind", "named"), [("n1:/m", True), ("/m", False), (f"{ID2}:/m", True)])
def test_named_says_how_this_container_asked(engine: Engine, bind: str, named: bool) -> None:
    assert one(engine.resolve(binds=(bind,))).named is named


def test_a_bind_makes_its_source_and_a_mount_only_when_asked(engine: Engine) -> None:
    options = BindOptions(create_mountpoint=True, non_recursive=True)
    resolution = engine.resolve(
        binds=("/missing:/a",),
        mounts=(
            Mount(type="bind", source="/there", target="/b"),
            Mount(type="bind", source="/missing", target="/c", bind_options=options),
        ),
    )
    assert [m.create_source for m in resolution.mounts] == [True, False, True]
    assert [m.non_recursive for m in resolution.mounts] == [False, False, True]


def test_labels_options_and_driver_of_a_mount_reach_its_volume(engine: Engine) -> None:
    options = VolumeOptions(labels={"a": "1"}, driver_config=Driver(name="local", options={"type": "tmpfs"}))
    resolution = engine.resolve(mounts=(Mount(type="volume", source="n1", target="/m", volume_options=options),))
    (volume,) = resolution.volumes
    assert volume == VolumeRequest(
        name=volume.name, driver="local", options={"type": "tmpfs"}, labels={"a": "1"}, anonymous=False
    )
    assert volume.name == "n1"


def test_a_volume_on_two_paths_is_asked_for_once(engine: Engine) -> None:
    resolution = engine.resolve(binds=("n1:/p1", "n1:/p2", "n1:/p3:ro"))
    assert [v.name for v in resolution.volumes] == ["n1"]
    assert [m.rw for m in resolution.mounts] == [True, True, False]


def test_the_driver_of_the_container_is_not_that_of_its_mounts(engine: Engine) -> None:
    resolution = engine.resolve(
        volumes=("/a",), binds=("n1:/b",), mounts=(Mount(type="volume", source="n2", target="/c"),), volume_driver="foo"
    )
    assert {v.name: v.driver for v in resolution.volumes} == {ID1: "foo", "n1": "foo", "n2": ""}
    assert resolution.warnings == (
        "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. "
        "Use '--mount type=volume,volume-driver=...' instead",
    )


def test_no_warning_where_the_mount_has_its_own_driver(engine: Engine) -> None:
    options = VolumeOptions(driver_config=Driver(name="local"))
    mount = Mount(type="volume", source="n2", target="/c", volume_options=options)
    assert engine.resolve(mounts=(mount,), volume_driver="foo").warnings == ()


def test_destinations_are_cleaned_as_in_scenario_33(engine: Engine) -> None:
    resolution = engine.resolve(
        binds=("n1:/p/", "n2:/q/../w", "n3://s///t", "n4:/u/./v", "n5:/../../up"), volumes=("/vol03/", "/x/../vol04")
    )
    assert [m.destination for m in resolution.mounts] == ["/p", "/s/t", "/u/v", "/up", "/vol03", "/vol04", "/w"]


@pytest.mark.parametrize("destination", ["rel", "/", "x:/m"])
def test_config_volumes_may_be_anywhere(engine: Engine, destination: str) -> None:
    assert one(engine.resolve(volumes=(destination,))).destination == destination


def test_two_spellings_of_one_config_volume_are_one(engine: Engine) -> None:
    assert one(engine.resolve(volumes=("/a", "/a/"))).destination == "/a"


def test_config_volumes_are_kept_as_written(engine: Engine) -> None:
    assert engine.resolve(volumes=("/b/", "/a")).config_volumes == {"/b/": {}, "/a": {}}


@pytest.mark.parametrize(
    ("request_", "destination"),
    [
        ({"binds": ("n1:/m", "n2:/m")}, "/m"),
        ({"binds": ("n1:/p", "n2:/p/")}, "/p"),
        ({"binds": ("n1:/m", "n1:/m")}, "/m"),
        ({"binds": ("n1:/m",), "mounts": (Mount(type="volume", source="n1", target="/m/"),)}, "/m/"),
        (
            {"mounts": (Mount(type="volume", source="n1", target="/m"), Mount(type="tmpfs", target="//m"))},
            "//m",
        ),
        ({"binds": ("n1:/m",), "tmpfs": {"/m": ""}}, "/m"),
    ],
)
def test_two_specs_for_one_destination_are_refused(
    engine: Engine, request_: dict[str, object], destination: str
) -> None:
    with pytest.raises(InvalidSpec) as error:
        engine.resolve(**request_)  # type: ignore[arg-type]
    assert str(error.value) == f"Duplicate mount point: {destination}"


def test_an_anonymous_volume_gives_way(engine: Engine) -> None:
    resolution = engine.resolve(
        volumes=("/a", "/b", "/c"),
        binds=("n1:/a",),
        mounts=(Mount(type="tmpfs", target="/b"),),
        tmpfs={"/c": ""},
    )
    assert [(m.destination, m.type, m.name) for m in resolution.mounts] == [
        ("/a", MountType.VOLUME, "n1"),
        ("/b", MountType.TMPFS, ""),
        ("/c", MountType.TMPFS, ""),
    ]
    assert [v.name for v in resolution.volumes] == ["n1"]


def test_tmpfs_of_the_host_config_is_hidden_and_wins_over_mounts(engine: Engine) -> None:
    resolution = engine.resolve(
        mounts=(Mount(type="volume", source="n1", target="/m"),), tmpfs={"/m/": "size=1m,ro", "/n": ""}
    )
    assert [(m.destination, m.hidden, m.rw) for m in resolution.mounts] == [("/m", True, False), ("/n", True, True)]
    assert resolution.mounts[0].tmpfs == TmpfsOptions(size_bytes=1 << 20, options=[["ro"]])
    assert lines(resolution) == []
    assert resolution.volumes == ()


@pytest.mark.parametrize(
    ("tmpfs", "message"),
    [
        ({"/": ""}, "invalid specification: destination can't be '/'"),
        ({"rel": ""}, "invalid mount path: 'rel' mount path must be absolute"),
        ({"/t": "bogus"}, 'invalid tmpfs option ["bogus"]'),
    ],
)
def test_bad_tmpfs(engine: Engine, tmpfs: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        engine.resolve(tmpfs=tmpfs)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "rel/path",
            'create rel/path: "rel/path" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
        ),
        ("x", "create x: volume name is too short, names should be at least two alphanumeric characters"),
    ],
)
def test_bad_volume_names(engine: Engine, name: str, message: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        engine.resolve(binds=(f"{name}:/m",))
    assert str(error.value) == message


def test_mounts_are_judged_before_lenders_and_binds(engine: Engine) -> None:
    with pytest.raises(InvalidSpec, match="bind source path does not exist: /missing"):
        engine.resolve(
            volumes_from=("nobody",), binds=(":",), mounts=(Mount(type="bind", source="/missing", target="/m"),)
        )


class TestVolumesFrom:
    def test_ro_and_rw_as_in_scenario_25(self, engine: Engine) -> None:
        engine.create("c1", volumes=("/volume01", "/volume02"), binds=("n1:/n",))
        engine.create("c2", volumes_from=("c1:ro",))
        engine.create("c3", volumes_from=("c1:rw",))
        engine.create("c5", volumes_from=("c2:rw",))
        one_, two = f"Name={ID1} Source=/v/{ID1}/_data", f"Name={ID2} Source=/v/{ID2}/_data"
        read_only = [
            "Type=volume Name=n1 Source=/v/n1/_data Destination=/n Driver=local Mode= RW=false Propagation=",
            f"Type=volume {one_} Destination=/volume01 Driver=local Mode= RW=false Propagation=",
            f"Type=volume {two} Destination=/volume02 Driver=local Mode= RW=false Propagation=",
        ]
        assert lines(engine.find("c2")) == read_only
        assert lines(engine.find("c3")) == [line.replace("RW=false", "RW=true") for line in read_only]
        assert lines(engine.find("c5")) == read_only

    def test_chains_pass_volumes_and_binds_as_in_scenario_27(self, engine: Engine) -> None:
        engine.create("c1", volumes=("/volume01",), binds=("/h:/bind", "n1:/n"))
        engine.create("c2", volumes_from=("c1",), binds=("extra:/extra",))
        resolution = engine.resolve(volumes_from=("c2",))
        assert lines(resolution) == [
            "Type=bind Source=/h Destination=/bind Mode= RW=true Propagation=rprivate",
            "Type=volume Name=extra Source=/v/extra/_data Destination=/extra Driver=local Mode= RW=true Propagation=",
            "Type=volume Name=n1 Source=/v/n1/_data Destination=/n Driver=local Mode= RW=true Propagation=",
            f"Type=volume Name={ID1} Source=/v/{ID1}/_data Destination=/volume01 Driver=local Mode= RW=true "
            "Propagation=",
        ]
        assert resolution.volumes == ()
        assert not any(m.copy_up for m in resolution.mounts)

    def test_requests_win_over_lenders_as_in_scenario_29(self, engine: Engine) -> None:
        c1 = engine.create("c1", volumes=("/volume01", "/volume02"))
        own = engine.create("c2", volumes_from=("c1",), binds=("own:/volume01",))
        tmpfs = engine.create("c4", volumes_from=("c1",), mounts=(Mount(type="tmpfs", target="/volume01"),))
        same = engine.create("c5", volumes=("/volume01", "/volume02"), volumes_from=("c1",))
        assert [m.name for m in own.mounts] == ["own", c1.mounts[1].name]
        assert own.mounts[0].mode == "z"
        assert [m.type for m in tmpfs.mounts] == [MountType.TMPFS, MountType.VOLUME]
        assert same.volumes == c1.volumes
        assert engine.ids.count == 2

    def test_the_last_lender_wins(self, engine: Engine) -> None:
        engine.create("c1", binds=("n1:/m", "n1:/only"))
        engine.create("c2", binds=("n2:/m:ro",))
        resolution = engine.resolve(volumes_from=("c1", "c2"))
        assert [(m.name, m.rw) for m in resolution.mounts] == [("n2", False), ("n1", True)]

    def test_how_the_lender_asked_is_lent_too(self, engine: Engine) -> None:
        engine.create("c1", volumes=("/a",), binds=("n1:/b",))
        assert [m.named for m in engine.create("c2", volumes_from=("c1",)).mounts] == [False, True]

    def test_a_tmpfs_of_mount_is_lent_fresh_and_one_of_tmpfs_is_not(self, engine: Engine) -> None:
        options = TmpfsOptions(size_bytes=1 << 20)
        engine.create("c1", mounts=(Mount(type="tmpfs", target="/a", tmpfs_options=options),), tmpfs={"/b": ""})
        mount = one(engine.resolve(volumes_from=("c1:ro",)))
        assert (mount.type, mount.destination, mount.source, mount.rw) == (MountType.TMPFS, "/a", "", False)
        assert mount.tmpfs == options

    def test_a_lender_without_mounts_gives_none(self, engine: Engine) -> None:
        engine.create("c4")
        assert engine.resolve(volumes_from=("c4",)).mounts == ()

    def test_an_unknown_lender_is_an_invalid_spec(self, engine: Engine) -> None:
        with pytest.raises(InvalidSpec) as error:
            engine.resolve(volumes_from=("nobody",))
        assert str(error.value) == "No such container: nobody"


PLACES = st.sampled_from(["/a", "/a/", "/b", "/a/b", "//c", "/d/../a", "/e"])
NAMES = st.sampled_from(["n1", "n2", "/h"])
BINDS = st.tuples(NAMES, PLACES, st.sampled_from(["", ":ro", ":rw"])).map(lambda p: f"{p[0]}:{p[1]}{p[2]}")
MOUNTS = st.builds(
    Mount,
    type=st.just("volume"),
    source=st.sampled_from(["n1", "n3"]),
    target=PLACES,
    read_only=st.booleans(),
) | st.builds(Mount, type=st.just("tmpfs"), target=PLACES)


@st.composite
def engines(draw: st.DrawFn) -> Engine:
    """Some containers, each perhaps borrowing from earlier ones; impossible requests are left out."""
    engine = Engine()
    for number in range(draw(st.integers(1, 5))):
        lenders = st.sampled_from(sorted(engine.containers) or ["nobody"])
        specs = st.tuples(lenders, st.sampled_from(["", ":ro", ":rw"])).map("".join)
        try:
            engine.create(
                f"c{number}",
                volumes=tuple(draw(st.lists(PLACES, max_size=2))),
                binds=tuple(draw(st.lists(BINDS, max_size=2))),
                mounts=tuple(draw(st.lists(MOUNTS, max_size=2))),
                tmpfs=dict.fromkeys(draw(st.lists(PLACES, max_size=1)), ""),
                volumes_from=tuple(draw(st.lists(specs, max_size=2))),
            )
        except VolfuseError:
            continue
    return engine


@given(engines())
def test_no_container_has_two_mounts_on_one_destination(engine: Engine) -> None:
    for container in engine.containers.values():
        destinations = [m.destination for m in container.mounts]
        assert destinations == sorted(set(destinations))


@given(engines(), st.sampled_from(["", ":ro", ":rw"]))
def test_a_borrower_has_the_lenders_mounts_and_never_more_rights(engine: Engine, mode: str) -> None:
    for name, lender in list(engine.containers.items()):
        lent = {m.destination: m for m in lender.mounts if not m.hidden}
        borrowed = {m.destination: m for m in engine.resolve(volumes_from=(name + mode,)).mounts}
        assert borrowed.keys() == lent.keys()
        for destination, mount in borrowed.items():
            assert mount.rw is (lent[destination].rw and mode != ":ro")
            assert (mount.source, mount.name, mount.type) == (
                lent[destination].source,
                lent[destination].name,
                lent[destination].type,
            )


@given(engines(), st.sampled_from(["", ":ro", ":rw"]), st.sampled_from(["", ":ro", ":rw"]))
def test_a_chain_gives_what_its_links_give_together(engine: Engine, first: str, second: str) -> None:
    for name in list(engine.containers):
        engine.create("between", volumes_from=(name + first,))
        chained = engine.resolve(volumes_from=("between" + second,)).mounts
        direct = engine.resolve(volumes_from=(name + (":ro" if ":ro" in (first, second) else ""),)).mounts
        assert chained == direct


@given(engines())
def test_every_volume_of_a_container_was_asked_for_or_borrowed(engine: Engine) -> None:
    for name in list(engine.containers):
        resolution = engine.resolve(volumes=("/a", "/z"), volumes_from=(name,))
        asked = {v.name for v in resolution.volumes}
        assert {m.name for m in resolution.mounts if m.name} == asked | engine.find(name).volumes
