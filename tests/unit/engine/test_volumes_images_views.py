"""Volumes, images and where views are mounted: Docker's rules, and what a restart finds."""

from __future__ import annotations

import io

import pytest

from tests.unit.engine.support import request
from volfuse.core.filters import NO_FILTERS, Filters
from volfuse.errors import Conflict, InUse, InvalidSpec, NotFound, Unsupported


def test_volume_create_is_idempotent_and_ignores_new_labels(opened):
    first = opened.engine.volumes.create("v1", labels={"a": "1"})
    assert opened.engine.volumes.create("v1", labels={"b": "2"}) == first
    assert opened.data("v1").stat().st_mode & 0o7777 == 0o755
    assert (opened.root / "volumes" / "v1").stat().st_mode & 0o7777 == 0o701


def test_volume_without_a_name_is_anonymous(opened):
    volume = opened.engine.volumes.create("")
    assert len(volume.name) == 64
    assert volume.anonymous


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"name": "a b"}, InvalidSpec, 'create a b: "a b" includes invalid characters for a local volume name'),
        ({"name": "x"}, InvalidSpec, "create x: volume name is too short"),
        ({"name": "vv", "driver": "nope"}, NotFound, 'plugin "nope" not found'),
        ({"name": "vv", "options": {"bad": "1"}}, InvalidSpec, 'invalid option: "bad"'),
        ({"name": "vv", "options": {"type": "nfs"}}, InvalidSpec, 'missing required option: "device"'),
        ({"name": "vv", "options": {"coherence": "fast"}}, InvalidSpec, "invalid value for coherence: fast"),
        ({"name": "vv", "options": {"coherence": "lease", "o": "x"}}, InvalidSpec, 'missing required option: "type"'),
        ({"name": "vv", "options": {"size": "1g"}}, InvalidSpec, "quota size requested but no quota support"),
        ({"name": "vv", "options": {"type": "nfs", "device": ":/x"}}, Unsupported, "does not mount file systems"),
    ],
)
def test_bad_volumes(opened, arguments, error, text):
    with pytest.raises(error, match=text):
        opened.engine.volumes.create(**arguments)
    assert opened.engine.volumes.list(NO_FILTERS) == []


def test_volume_rm(opened):
    opened.engine.volumes.create("v1")
    created = opened.engine.containers.create(request(binds=["v1:/n"]), name="c1")
    for force in (False, True):
        with pytest.raises(InUse) as caught:
            opened.engine.volumes.remove("v1", force=force)
        assert str(caught.value) == f"remove v1: volume is in use - [{created.id}]"
    opened.engine.containers.remove("c1")
    opened.engine.volumes.remove("v1", force=False)
    assert not (opened.root / "volumes" / "v1").exists()
    with pytest.raises(NotFound, match="get v1: no such volume"):
        opened.engine.volumes.remove("v1", force=False)
    opened.engine.volumes.remove("v1", force=True)


def test_volume_prune_takes_unused_anonymous_ones_and_with_all_the_named(opened):
    opened.engine.volumes.create("named")
    anonymous = opened.engine.volumes.create("")
    opened.engine.containers.create(request(binds=["used:/u"]), name="c1")
    (opened.data(anonymous.name) / "five").write_bytes(b"12345")
    assert opened.engine.volumes.prune(Filters({}), api_version=(1, 51)) == ([anonymous.name], 5)
    removed, _ = opened.engine.volumes.prune(Filters({"all": ("true",)}), api_version=(1, 51))
    assert removed == ["named"]


def test_dangling_volumes(opened):
    opened.engine.volumes.create("free")
    opened.engine.containers.create(request(binds=["used:/data"]), name="c1")
    assert [v.name for v in opened.engine.volumes.list(Filters({"dangling": ("true",)}))] == ["free"]
    assert [v.name for v in opened.engine.volumes.list(Filters({"dangling": ("false",)}))] == ["used"]


def test_a_directory_that_is_in_the_way_is_named_and_kept(opened):
    opened.data("v1").mkdir(parents=True)
    (opened.data("v1") / "precious").touch()
    with pytest.raises(Conflict, match="volumes/v1 is in the way"):
        opened.engine.volumes.create("v1")
    assert (opened.data("v1") / "precious").exists()
    assert opened.engine.volumes.list(NO_FILTERS) == []


def test_importing_the_same_tree_twice_keeps_one_image(opened):
    opened.engine.images.import_(io.BytesIO(), reference="other:1", message="", changes=[])
    (summary,) = opened.engine.images.list(all=False, filters=NO_FILTERS)
    assert summary.references == ["other:1", "seed:latest"]


def test_image_is_found_by_reference_id_and_prefix(opened):
    image = opened.engine.images.get("seed")
    for name in ("seed:latest", image.id, image.id[:20], image.id[7:19], "docker.io/library/seed"):
        assert opened.engine.images.get(name) == image
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        opened.engine.images.get("nope")


def test_image_rm(opened):
    image = opened.engine.images.get("seed")
    opened.engine.images.tag("seed", "second", "2")
    assert opened.engine.images.remove("second:2", force=False) == [{"Untagged": "second:2"}]
    opened.engine.containers.create(request(), name="c1")
    with pytest.raises(Conflict, match=r'unable to remove repository reference "seed" \(must force\)'):
        opened.engine.images.remove("seed", force=False)
    with pytest.raises(Conflict, match=r"\(must be forced\) - image is being used by stopped container"):
        opened.engine.images.remove(image.id, force=False)
    assert opened.engine.images.remove("seed", force=True) == [{"Untagged": "seed:latest"}]
    opened.engine.containers.remove("c1")
    assert opened.engine.images.remove(image.id[7:19], force=False) == [{"Deleted": image.id}]
    assert list((opened.root / "images").iterdir()) == []


def test_image_prune_takes_untagged_ones(opened):
    image = opened.engine.images.get("seed")
    assert opened.engine.images.prune(Filters({})) == ([], 0)
    opened.engine.containers.create(request(), name="c1")
    opened.engine.images.remove("seed", force=True)
    assert opened.engine.images.prune(Filters({})) == ([], 0)
    opened.engine.containers.remove("c1")
    assert opened.engine.images.prune(Filters({})) == ([{"Deleted": image.id}], image.size)


def test_view_report_names_sharers(opened):
    opened.engine.containers.create(request(), name="c1")
    opened.engine.containers.create(request(volumes_from=["c1"]), name="c2")
    opened.engine.containers.create(request(), name="c3")
    shared = {r.container: r.mounts[0].shared_with for r in opened.engine.views.list()}
    assert shared == {"c1": ["c2"], "c2": ["c1"], "c3": []}


def test_mounts_are_kept_over_a_restart_and_follow_a_rename(opened, tmp_path):
    opened.engine.containers.create(request(), name="c1")
    place = tmp_path / "place"
    place.mkdir()
    opened.engine.views.mount(opened.engine.containers.get("c1"), str(place), read_only=True)
    assert opened.binder.bound == {str(place): ("c1", True)}
    with pytest.raises(Conflict):
        opened.engine.views.mount(None, str(place), read_only=False)
    opened.engine.containers.rename("c1", "c2")
    assert opened.binder.bound == {str(place): ("c2", True)}
    opened.engine.views.unbind_all()
    opened.reopen()
    assert opened.binder.bound == {str(place): ("c2", True)}
    opened.engine.containers.remove("c2")
    assert opened.binder.bound == {}
    opened.reopen()
    assert opened.binder.bound == {}


@pytest.mark.parametrize(
    ("directory", "text"), [("relative", "must be absolute"), ("/nonexistent/x", "there is no such directory")]
)
def test_bad_places_for_a_mount(opened, directory, text):
    with pytest.raises(InvalidSpec, match=text):
        opened.engine.views.mount(None, directory, read_only=False)
    assert opened.store.bound() == []


def test_a_mount_that_this_user_may_not_make_is_refused_and_forgotten(opened, tmp_path, caplog, monkeypatch):
    place = tmp_path / "place"
    place.mkdir()
    opened.engine.views.mount(None, str(place), read_only=False)
    opened.engine.views.unbind_all()

    def refuse(_binder, _view, _directory, *, read_only):
        raise Unsupported("only root can")

    monkeypatch.setattr(type(opened.binder), "bind", refuse)
    opened.reopen()
    assert opened.store.bound() == []
    assert "cannot mount a view again: only root can" in caplog.text
    with pytest.raises(Unsupported, match="only root can"):
        opened.engine.views.mount(None, str(place), read_only=False)
    assert opened.store.bound() == []
