"""Containers: what Docker's create, rename and rm do to names, volumes and views."""

from __future__ import annotations

import os
import threading

import pytest

from tests.unit.engine.support import request
from volfuse.core.filters import NO_FILTERS, Filters
from volfuse.core.model import ANONYMOUS_LABEL
from volfuse.errors import Conflict, Internal, InvalidSpec, NotFound


def names(opened) -> set[str]:
    return {v.name for v in opened.engine.volumes.list(NO_FILTERS)}


def test_image_volume_becomes_an_anonymous_volume_filled_from_the_image(opened):
    opened.engine.containers.create(request(), name="c1")
    mount = opened.mount("c1", "/data")
    volume = opened.engine.volumes.get(mount.name)
    assert len(volume.name) == 64
    assert volume.labels == {ANONYMOUS_LABEL: ""}
    data = opened.data(volume.name)
    assert (data / "one").read_text() == "one\n"
    assert (data / "sub" / "two").read_text() == "two\n"
    assert data.stat().st_mode & 0o7777 == 0o2775


def test_volumes_from_gives_the_same_source_and_makes_no_volume(opened):
    opened.engine.containers.create(request(), name="c1")
    before = names(opened)
    opened.engine.containers.create(request(volumes_from=["c1"]), name="c2")
    assert opened.mount("c2", "/data").source == opened.mount("c1", "/data").source
    assert names(opened) == before


def test_existing_empty_volume_is_filled_and_one_with_content_is_not(opened):
    opened.engine.volumes.create("empty")
    opened.engine.volumes.create("full")
    (opened.data("full") / ".hidden").touch()
    opened.data("full").chmod(0o700)
    opened.engine.containers.create(request(binds=["empty:/data", "full:/data/sub"]), name="c1")
    assert sorted(os.listdir(opened.data("empty"))) == ["one", "sub"]
    assert opened.data("empty").stat().st_mode & 0o7777 == 0o2775
    assert os.listdir(opened.data("full")) == [".hidden"]
    assert opened.data("full").stat().st_mode & 0o7777 == 0o700


def test_nocopy_leaves_the_volume_empty(opened):
    opened.engine.containers.create(request(binds=["v1:/data:nocopy"]), name="c1")
    assert os.listdir(opened.data("v1")) == []


def test_copy_up_follows_a_link_of_the_image_and_so_does_the_mount(opened):
    opened.engine.containers.create(request(binds=["v1:/lnk"]), name="c1")
    assert (opened.data("v1") / "one").exists()
    assert opened.mount("c1", "/lnk")
    assert (b"data",) in [m.destination for m in opened.table.plans["c1"].mounts]


def test_failed_create_leaves_its_named_volume_and_nothing_else(opened):
    with pytest.raises(Internal, match="source /etc/afile is not directory"):
        opened.engine.containers.create(request(binds=["v1:/etc/afile"]), name="c1")
    assert names(opened) == {"v1"}
    assert opened.engine.containers.list(all=True, filters=NO_FILTERS) == []
    with pytest.raises(Internal, match="cannot mount volume over existing file, file exists /etc/afile"):
        opened.engine.containers.create(request(volumes=["/etc/afile"]), name="c1")
    assert names(opened) == {"v1"}
    opened.engine.containers.create(request(), name="c1")


def test_missing_directory_of_a_bind_is_made(opened, tmp_path):
    opened.engine.containers.create(request(binds=[f"{tmp_path}/new/below:/b"]), name="c1")
    assert (tmp_path / "new" / "below").stat().st_mode & 0o7777 == 0o755


def test_working_directory_is_made(opened):
    created = opened.engine.containers.create(request(), name="c1")
    assert (opened.root / "containers" / created.id / "rootfs" / "work").is_dir()


def test_name_in_use(opened):
    created = opened.engine.containers.create(request(), name="c1")
    before = names(opened)
    expected = f'The container name "/c1" is already in use by container "{created.id}"'
    with pytest.raises(Conflict, match=expected):
        opened.engine.containers.create(request(binds=["other:/o"]), name="/c1")
    assert names(opened) == before


def test_unknown_image(opened):
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        opened.engine.containers.create(request("nope"), name="c1")


def test_bad_name(opened):
    with pytest.raises(InvalidSpec, match=r"Invalid container name \(a b\)"):
        opened.engine.containers.create(request(), name="a b")


def test_names_are_given_to_those_who_have_none(opened):
    first = opened.engine.containers.create(request())
    second = opened.engine.containers.create(request())
    given = {opened.engine.containers.get(c.id).name for c in (first, second)}
    assert len(given) == 2


def test_container_is_found_by_id_name_and_unique_prefix(opened):
    created = opened.engine.containers.create(request(), name="c1")
    for reference in (created.id, "c1", "/c1", created.id[:40]):
        assert opened.engine.containers.get(reference).id == created.id
    opened.engine.containers.create(request(), name="c2")
    with pytest.raises(InvalidSpec, match="multiple IDs found with provided prefix: 0000"):
        opened.engine.containers.get("0000")
    with pytest.raises(NotFound, match="No such container: nope"):
        opened.engine.containers.get("nope")


def test_rename_moves_the_view_and_frees_the_name(opened):
    opened.engine.containers.create(request(), name="c1")
    opened.engine.containers.rename("c1", "c9")
    assert set(opened.table.plans) == {"c9"}
    opened.engine.containers.create(request(), name="c1")
    with pytest.raises(Conflict):
        opened.engine.containers.rename("c1", "c9")
    with pytest.raises(InvalidSpec, match="same name"):
        opened.engine.containers.rename("c1", "c1")


def test_rm_keeps_volumes_and_rm_v_takes_the_unnamed(opened):
    opened.engine.containers.create(request(binds=["named:/n"]), name="c1")
    anonymous = opened.mount("c1", "/data").name
    opened.engine.containers.create(request(binds=["named:/n"]), name="c2")
    going = opened.mount("c2", "/data").name
    opened.engine.containers.remove("c1")
    assert names(opened) == {"named", anonymous, going}
    opened.engine.containers.remove("c2", volumes=True)
    assert names(opened) == {"named", anonymous}
    assert not (opened.root / "volumes" / going).exists()
    assert list((opened.root / "containers").iterdir()) == []


def test_rm_v_of_the_last_borrower_takes_the_volume(opened):
    opened.engine.containers.create(request(), name="c1")
    volume = opened.mount("c1", "/data").name
    opened.engine.containers.create(request(volumes_from=["c1"]), name="c2")
    opened.engine.containers.remove("c1", volumes=True)
    assert names(opened) == {volume}
    opened.engine.containers.remove("c2", volumes=True)
    assert names(opened) == set()


def test_anonymous_volume_mounted_by_name_survives_rm_v_of_both(opened):
    opened.engine.containers.create(request(), name="c1")
    volume = opened.mount("c1", "/data").name
    opened.engine.containers.create(request(binds=[f"{volume}:/byname"], volumes=[]), name="c2")
    opened.engine.containers.remove("c1", volumes=True)
    opened.engine.containers.remove("c2", volumes=True)
    assert volume in names(opened)


def test_events_come_in_dockers_order(opened):
    opened.engine.containers.create(request(), name="c1")
    opened.engine.containers.rename("c1", "c2")
    opened.engine.containers.remove("c2", volumes=True)
    assert opened.actions()[1:] == [
        "volume create",
        "container create",
        "container rename",
        "volume destroy",
        "container destroy",
    ]


def test_containers_are_there_after_a_restart(opened):
    opened.engine.containers.create(request(binds=["v1:/n:ro"]), name="c1")
    before = opened.engine.containers.get("c1")
    opened.reopen()
    assert opened.engine.containers.get("c1") == before
    assert set(opened.table.plans) == {"c1"}


def test_private_trees_have_numbers_that_are_never_used_again(opened):
    opened.engine.containers.create(request(), name="c1")
    serial = opened.engine.containers.get("c1").serial
    opened.engine.containers.remove("c1")
    opened.reopen()
    opened.engine.containers.create(request(), name="c1")
    assert opened.engine.containers.get("c1").serial > serial


def test_prune_takes_containers_that_do_not_run_and_leaves_volumes(opened):
    created = opened.engine.containers.create(request(), name="c1")
    removed, _ = opened.engine.containers.prune(Filters({}))
    assert removed == [created.id]
    assert len(names(opened)) == 1


def test_many_creates_at_once_of_one_name_make_one(opened):
    outcomes = []

    def create() -> None:
        try:
            opened.engine.containers.create(request(binds=["shared:/data"]), name="c1")
            outcomes.append("made")
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] + ["refused"] * 7
    assert names(opened) == {"shared"}


def test_many_creates_at_once_fill_a_shared_volume_once(opened):
    threads = [
        threading.Thread(target=opened.engine.containers.create, args=(request(binds=["shared:/data"]),))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened.engine.containers.list(all=True, filters=NO_FILTERS)) == 8
    assert sorted(os.listdir(opened.data("shared"))) == ["one", "sub"]
