"""Whose choice of coherence counts: the mount's, then the volume's, then the daemon's default."""

from __future__ import annotations

import json
import sqlite3

import pytest

from tests.unit.engine.support import request
from volfuse.core.coherence import Coherence
from volfuse.core.wire import BindOptions, Driver, Mount, VolumeOptions
from volfuse.errors import InvalidSpec


def volume_mount(name: str, **options: str) -> Mount:
    return Mount(
        type="volume", source=name, target="/m", volume_options=VolumeOptions(driver_config=Driver(options=options))
    )


def planned(opened, container: str) -> Coherence:
    """Return the coherence of `/m` in the plan of a view."""
    (found,) = [m for m in opened.table.plans[container].mounts if m.destination == (b"m",)]
    return found.coherence


def shown(opened, container: str) -> dict[str, str | None]:
    """Return what the report of views says, by destination."""
    (view,) = [view for view in opened.engine.views.list() if view.container == container]
    return {mount.destination: mount.coherence for mount in view.mounts}


@pytest.mark.parametrize("default", Coherence)
@pytest.mark.parametrize(
    ("volume", "host", "expected"),
    [
        (None, {"binds": ["vol:/m"]}, None),
        ("lease", {"binds": ["vol:/m"]}, "lease"),
        ("lease", {"mounts": [Mount(type="volume", source="vol", target="/m")]}, "lease"),
        ("lease", {"binds": ["vol:/m:ro,coherence=exact"]}, "exact"),
        ("exact", {"mounts": [volume_mount("vol", coherence="strict")]}, "strict"),
        (None, {"mounts": [volume_mount("new", coherence="lease")]}, "lease"),
        (None, {"binds": ["/nowhere/at/all:/m:coherence=lease"]}, "lease"),
    ],
)
def test_precedence(opened, monkeypatch, default, volume, host, expected):
    monkeypatch.setattr("volfuse.engine.create.make_sources", lambda _container: False)
    opened.engine.views.coherence = default
    opened.engine.volumes.create("vol", options={"coherence": volume} if volume else None)
    opened.engine.containers.create(request(**host), name="c1")
    opened.engine.containers.create(request(volumes_from=["c1:ro"]), name="c2")
    opened.engine.containers.create(request(volumes_from=["c2"]), name="c3")
    for container in ("c1", "c2", "c3"):
        assert opened.mount(container, "/m").coherence == expected
        assert planned(opened, container) == shown(opened, container)["/m"] == (expected or default)


def test_choices_outlive_a_restart_and_the_default_may_change_with_it(opened):
    opened.engine.volumes.create("vol", options={"coherence": "exact"})
    opened.engine.containers.create(request(binds=["vol:/m", "other:/other"]), name="c1")
    opened.engine.containers.create(request(volumes_from=["c1"]), name="c2")
    opened.reopen()
    assert opened.engine.volumes.get("vol").options == {"coherence": "exact"}
    assert planned(opened, "c2") is Coherence.EXACT
    opened.engine.views.coherence = Coherence.LEASE
    assert shown(opened, "c2") == {"/data": "lease", "/m": "exact", "/other": "lease"}


def test_a_volume_made_by_a_mount_has_its_option_and_a_volume_made_by_a_mode_has_none(opened):
    opened.engine.containers.create(request(mounts=[volume_mount("one", coherence="lease")]), name="c1")
    opened.engine.containers.create(request(binds=["two:/m:coherence=lease"]), name="c2")
    opened.engine.containers.create(request(binds=["one:/m", "two:/n"]), name="c3")
    assert opened.engine.volumes.get("one").options == {"coherence": "lease"}
    assert opened.engine.volumes.get("two").options is None
    assert shown(opened, "c3") == {"/data": "strict", "/m": "lease", "/n": "strict"}


def test_a_volume_that_exists_keeps_its_option_whatever_a_mount_chooses(opened):
    opened.engine.volumes.create("vol", options={"coherence": "lease"})
    opened.engine.containers.create(request(mounts=[volume_mount("vol", coherence="exact")]), name="c1")
    assert opened.engine.volumes.get("vol").options == {"coherence": "lease"}


def test_a_tmpfs_has_none(opened):
    opened.engine.containers.create(request(mounts=[Mount(type="tmpfs", target="/m")]), name="c1")
    assert shown(opened, "c1")["/m"] is None


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ({"mounts": [volume_mount("vol", coherence="fast")]}, "invalid value for coherence: fast"),
        ({"binds": ["vol:/m:coherence=fast"]}, "invalid mode: coherence=fast"),
        (
            {"mounts": [Mount(type="bind", source="/", target="/m", bind_options=BindOptions(coherence="fast"))]},
            "invalid value for coherence: fast",
        ),
        ({"volumes_from": ["seed:coherence=lease"]}, "invalid mode: coherence=lease"),
    ],
)
def test_a_bad_choice_makes_nothing(opened, host, text):
    with pytest.raises(InvalidSpec, match=text):
        opened.engine.containers.create(request(**host), name="c1")
    assert opened.store.containers() == []
    assert opened.store.volumes() == []


def test_a_database_from_before_there_was_a_choice_opens(opened):
    opened.engine.containers.create(request(binds=["vol:/m"]), name="c1")
    opened.store.close()
    with sqlite3.connect(opened.root / "state.db") as db:
        (body,) = db.execute("SELECT body FROM containers").fetchone()
        value = json.loads(body)
        for mount in value["mounts"]:
            del mount["coherence"]
        db.execute("UPDATE containers SET body = ?", [json.dumps(value)])
    db.close()
    opened.reopen()
    assert opened.mount("c1", "/m").coherence is None
    assert planned(opened, "c1") is Coherence.STRICT
