"""What takes volumes away. Expected values: docker-semantics 1 and 8.5–8.7, scenarios 11, 27 and 67."""

from __future__ import annotations

import pytest

from tests.unit.core.support import Engine, hex_id
from volfuse.core.filters import NO_FILTERS, Filters
from volfuse.core.ids import ContainerId, VolumeName
from volfuse.core.model import ANONYMOUS_LABEL, Volume
from volfuse.core.references import in_use_message, prunable, removed_with

NEW = (1, 51)


def removed(engine: Engine, name: str) -> set[str]:
    """Remove a container with its volumes; return these."""
    container = engine.containers.pop(name)
    return set(removed_with(container, engine.containers.values()))


def test_rm_v_takes_the_anonymous_volumes_and_keeps_the_named() -> None:
    engine = Engine()
    container = engine.create("c1", volumes=("/a",), binds=("n1:/b", "/h:/c"))
    assert removed(engine, "c1") == {container.mounts[0].name}


def test_an_inherited_anonymous_volume_goes_with_its_last_container() -> None:
    engine = Engine()
    volume = engine.create("c1", volumes=("/a",)).mounts[0].name
    engine.create("c2", volumes_from=("c1",))
    engine.create("c3", volumes_from=("c2:ro",))
    assert [removed(engine, name) for name in ("c1", "c2", "c3")] == [set(), set(), {volume}]


def test_an_anonymous_volume_that_another_mounts_by_name_stays_for_good() -> None:
    engine = Engine()
    volume = engine.create("c1", volumes=("/a",)).mounts[0].name
    engine.create("c2", binds=(f"{volume}:/byname",))
    assert [removed(engine, name) for name in ("c1", "c2")] == [set(), set()]


def test_an_inherited_named_volume_stays() -> None:
    engine = Engine()
    engine.create("c1", binds=("n1:/a",))
    engine.create("c2", volumes_from=("c1",))
    assert [removed(engine, name) for name in ("c1", "c2")] == [set(), set()]


def test_containers_refer_to_what_they_only_inherited() -> None:
    engine = Engine()
    c1 = engine.create("c1", binds=("n1:/a",))
    c2 = engine.create("c2", volumes_from=("c1",))
    engine.create("c3", binds=("n1:/a",), tmpfs={"/b": ""})
    engine.create("c4", binds=("n2:/a",))
    found = [c.id for c in engine.containers.values() if VolumeName("n1") in c.volumes]
    assert found == [c1.id, c2.id, hex_id("c3")]


def test_in_use_message_names_the_containers_in_full() -> None:
    ids = [ContainerId("a" * 64), ContainerId("b" * 64)]
    assert in_use_message(VolumeName("n1"), ids) == f"remove n1: volume is in use - [{'a' * 64}, {'b' * 64}]"


def volume(labels: dict[str, str] | None = None, **fields: object) -> Volume:
    return Volume(name=VolumeName("v1"), created_ns=0, labels=labels, **fields)  # type: ignore[arg-type]


ANONYMOUS = volume({ANONYMOUS_LABEL: ""})
NAMED = volume()
KEPT = volume({"keep": "1"})
ALL = {"all": ("true",)}


@pytest.mark.parametrize(
    ("candidate", "filters", "api_version", "taken"),
    [
        (ANONYMOUS, {}, NEW, True),
        (NAMED, {}, NEW, False),
        (NAMED, ALL, NEW, True),
        (NAMED, {"all": ("0",)}, NEW, False),
        (NAMED, {}, (1, 41), True),
        (NAMED, {}, (1, 42), False),
        (KEPT, {**ALL, "label!": ("keep",)}, NEW, False),
        (NAMED, {**ALL, "label!": ("keep",)}, NEW, True),
        (KEPT, {**ALL, "label": ("keep=1",)}, NEW, True),
        (KEPT, {**ALL, "label": ("keep=2",)}, NEW, False),
        (ANONYMOUS, {"label": ("keep",)}, NEW, False),
        (volume({ANONYMOUS_LABEL: ""}, options={"type": "tmpfs"}), {}, NEW, False),
        (volume({ANONYMOUS_LABEL: ""}, options={"coherence": "lease"}), {}, NEW, True),
        (volume({ANONYMOUS_LABEL: ""}, options={"coherence": "lease", "type": ""}), {}, NEW, False),
        (volume({ANONYMOUS_LABEL: ""}, driver="other"), {}, NEW, False),
    ],
)
def test_prune(
    candidate: Volume, filters: dict[str, tuple[str, ...]], api_version: tuple[int, int], taken: bool
) -> None:
    assert prunable(candidate, Filters(filters), api_version=api_version) is taken


def test_prune_without_filters_by_default() -> None:
    assert prunable(ANONYMOUS, NO_FILTERS, api_version=NEW)
