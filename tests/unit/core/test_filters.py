"""Filters. Expected values: docker-semantics 1, 5.1, 5.3, 8.20 and moby's filter tests."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.unit.core.support import Engine
from volfuse.core.filters import (
    CONTAINER_LIST,
    CONTAINER_PRUNE,
    IMAGE_LIST,
    NO_FILTERS,
    VOLUME_LIST,
    VOLUME_PRUNE,
    Filters,
    decode_filters,
    image_matches,
    select_containers,
    volume_matches,
)
from volfuse.core.ids import ImageId, VolumeName
from volfuse.core.model import Container, Image, State, Status, Volume
from volfuse.core.wire import Config, Mount
from volfuse.errors import InvalidSpec, NotFound


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("{}", {}),
        ('{"name":{"a":true,"b":true}}', {"name": ("a", "b")}),
        ('{"name":["a","b","a"]}', {"name": ("a", "b")}),
        ('{"dangling":{"1":true}}', {"dangling": ("1",)}),
        ('{"dangling":["false"],"label":{"a=b":true}}', {"dangling": ("false",), "label": ("a=b",)}),
        ('{"name":null}', {"name": ()}),
    ],
)
def test_both_forms_are_read(query: str, expected: dict[str, tuple[str, ...]]) -> None:
    assert decode_filters(query, VOLUME_LIST).values == expected


@pytest.mark.parametrize(
    ("query", "accepted", "message"),
    [
        ("x", VOLUME_LIST, "invalid filter"),
        ("[]", VOLUME_LIST, "invalid filter"),
        ('{"name":"a"}', VOLUME_LIST, "invalid filter"),
        ('{"name":[1]}', VOLUME_LIST, "invalid filter"),
        ('{"x":["a"]}', VOLUME_LIST, "invalid filter 'x'"),
        ('{"all":["1"]}', VOLUME_LIST, "invalid filter 'all'"),
        ('{"name":["a"]}', VOLUME_PRUNE, "invalid filter 'name'"),
        ('{"dangling":["maybe"]}', VOLUME_LIST, "invalid filter 'dangling=[maybe]'"),
        ('{"dangling":["1","0"]}', VOLUME_LIST, "invalid filter 'dangling=[1 0]'"),
        (
            '{"status":["bogus"]}',
            CONTAINER_LIST,
            "invalid filter 'status=bogus': invalid value for state (bogus): must be one of "
            "created, running, paused, restarting, removing, exited, dead",
        ),
        (
            '{"exited":["x"]}',
            CONTAINER_LIST,
            "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        ('{"name":["x"]}', CONTAINER_PRUNE, "invalid filter 'name'"),
        ('{"dangling":["x"]}', IMAGE_LIST, "invalid filter 'dangling=[x]'"),
    ],
)
def test_bad_queries(query: str, accepted: dict[str, None], message: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        decode_filters(query, accepted)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("labels", "filters", "expected"),
    [
        ({}, {}, True),
        ({}, {"label": ("a",)}, False),
        ({"a": "1", "b": ""}, {"label": ("a", "b")}, True),
        ({"a": "1"}, {"label": ("a", "b")}, False),
        ({"a": "1"}, {"label": ("a=1",)}, True),
        ({"a": "1"}, {"label": ("a=2",)}, False),
        ({"a": "1=2"}, {"label": ("a=1=2",)}, True),
        ({"a": "1"}, {"label!": ("a",)}, False),
        ({"a": "1"}, {"label!": ("a=2",)}, True),
        ({"a": "1"}, {"label!": ("a", "b")}, True),
        ({}, {"label!": ("a",)}, True),
    ],
)
def test_labels(labels: dict[str, str], filters: dict[str, tuple[str, ...]], expected: bool) -> None:
    assert Filters(filters).labels_match(labels) is expected


VOLUME = Volume(name=VolumeName("data-01"), created_ns=0, labels={"a": "1"})


@pytest.mark.parametrize(
    ("filters", "used", "expected"),
    [
        ({}, True, True),
        ({"name": ("data",)}, False, True),
        ({"name": ("ta-0",)}, False, True),
        ({"name": ("^ta",)}, False, False),
        ({"name": (r"^data-\d+$",)}, False, True),
        ({"name": ("x", "01")}, False, True),
        ({"name": ("[",)}, False, False),
        ({"driver": ("local",)}, False, True),
        ({"driver": ("loc",)}, False, False),
        ({"label": ("a=1",)}, False, True),
        ({"dangling": ("true",)}, False, True),
        ({"dangling": ("true",)}, True, False),
        ({"dangling": ("false",)}, True, True),
        ({"dangling": ("0",)}, False, False),
    ],
)
def test_volumes(filters: dict[str, tuple[str, ...]], used: bool, expected: bool) -> None:
    assert volume_matches(VOLUME, Filters(filters), used=used) is expected


IMAGE = Image(id=ImageId("sha256:" + "a" * 64), created_ns=50, config=Config(labels={"a": "1"}))


@pytest.mark.parametrize(
    ("tags", "filters", "expected"),
    [
        ((), {}, True),
        ((), {"dangling": ("true",)}, True),
        (("b:1",), {"dangling": ("true",)}, False),
        (("b:1",), {"dangling": ("false",)}, True),
        (("b:1",), {"reference": ("b",)}, True),
        (("b:1",), {"reference": ("b:1",)}, True),
        (("b:1",), {"reference": ("b:2",)}, False),
        (("host:5/b:1", "c:1"), {"reference": ("host:5/*",)}, True),
        ((), {"reference": ("*",)}, False),
        ((), {"label": ("a",)}, True),
        ((), {"label": ("b",)}, False),
    ],
)
def test_images(tags: tuple[str, ...], filters: dict[str, tuple[str, ...]], expected: bool) -> None:
    assert image_matches(IMAGE, tags, Filters(filters)) is expected


@pytest.mark.parametrize(
    ("before_ns", "since_ns", "expected"), [(51, 49, True), (50, None, False), (None, 50, False), (None, None, True)]
)
def test_images_between_two_times(before_ns: int | None, since_ns: int | None, expected: bool) -> None:
    assert image_matches(IMAGE, (), NO_FILTERS, before_ns=before_ns, since_ns=since_ns) is expected


@pytest.fixture(scope="module")
def containers() -> list[Container]:
    """Four containers, the oldest first: running, exited with 3, created, paused."""
    engine = Engine()
    engine.create("web", volumes=("/data",))
    engine.create("web-old", binds=("n1:/n", "/h:/b"))
    engine.create("db", mounts=(Mount(type="tmpfs", target="/t"),), tmpfs={"/hidden": ""})
    engine.create("db2")
    states = (
        State(status=Status.RUNNING, started_ns=1),
        State(status=Status.EXITED, started_ns=1, exit_code=3),
        State(),
        State(status=Status.PAUSED, started_ns=1),
    )
    return [
        replace(c, state=state, config=Config(labels={"who": c.name}))
        for c, state in zip(engine.containers.values(), states, strict=True)
    ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["db2", "db", "web-old", "web"]),
        ({"name": ("web",)}, ["web-old", "web"]),
        ({"name": ("^/web$",)}, ["web"]),
        ({"name": ("^web$", "^db$")}, ["db", "web"]),
        ({"status": ("exited", "created")}, ["db", "web-old"]),
        ({"exited": ("3",)}, ["web-old"]),
        ({"exited": ("0",)}, []),
        ({"label": ("who=db",)}, ["db"]),
        ({"label": ("who=db", "who=web")}, []),
        ({"volume": ("n1",)}, ["web-old"]),
        ({"volume": ("/n", "/data")}, ["web-old", "web"]),
        ({"volume": ("/h",)}, ["web-old"]),
        ({"volume": ("/hidden",)}, []),
        ({"volume": ("n",)}, []),
        ({"before": ("db",)}, ["web-old", "web"]),
        ({"since": ("web-old",)}, ["db2", "db"]),
        ({"before": ("/db2",), "since": ("web",)}, ["db", "web-old"]),
        ({"ancestor": ("image",)}, []),
        ({"health": ("none",)}, ["db2", "db", "web-old", "web"]),
        ({"health": ("healthy",)}, []),
        ({"network": ("bridge",)}, ["db2", "db", "web-old", "web"]),
        ({"publish": ("80",)}, []),
        ({"is-task": ("true",)}, []),
        ({"is-task": ("false",)}, ["db2", "db", "web-old", "web"]),
    ],
)
def test_containers(containers: list[Container], filters: dict[str, tuple[str, ...]], expected: list[str]) -> None:
    assert [c.name for c in select_containers(containers, Filters(filters), all=True)] == expected


def test_only_running_containers_are_listed_by_default(containers: list[Container]) -> None:
    assert [c.name for c in select_containers(containers, NO_FILTERS)] == ["db2", "web"]


def test_a_status_filter_and_a_limit_list_stopped_ones_too(containers: list[Container]) -> None:
    assert [c.name for c in select_containers(containers, Filters({"status": ("created",)}))] == ["db"]
    assert [c.name for c in select_containers(containers, NO_FILTERS, limit=3)] == ["db2", "db", "web-old"]


def test_ids_match_by_prefix(containers: list[Container]) -> None:
    filters = Filters({"id": (containers[1].id[:12],)})
    assert select_containers(containers, filters, all=True) == [containers[1]]


def test_ancestors_are_image_ids(containers: list[Container]) -> None:
    filters = Filters({"ancestor": ("image",)})
    assert len(select_containers(containers, filters, all=True, ancestors={containers[0].image})) == 4


def test_before_an_unknown_container(containers: list[Container]) -> None:
    with pytest.raises(NotFound) as error:
        select_containers(containers, Filters({"before": ("nobody",)}))
    assert str(error.value) == "No such container: nobody"
