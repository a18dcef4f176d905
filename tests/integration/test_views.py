"""volfuse's own routes, on a real daemon."""

from __future__ import annotations

import os

import docker
import pytest

from tests.integration.conftest import rootfs
from tests.support import needs
from volfuse.sys.mountinfo import mount_at
from volfuse.testing import DaemonProcess


@pytest.fixture
def call(sdk):
    """Calls a route and returns status and JSON."""

    def request(method, path, **named):
        reply = sdk.api.request(method, f"{sdk.api.base_url}{path}", **named)
        return reply.status_code, reply.json() if reply.content else None

    return request


def test_views_say_who_shares_what(call, sdk, daemon, image):
    created = sdk.api.create_container(image, name="one", volumes=["/data"], host_config=None)
    sdk.api.create_container(image, name="two", host_config=sdk.api.create_host_config(volumes_from=["one:ro"]))
    _, views = call("GET", "/volfuse/views")
    assert [view["Container"] for view in views] == ["one", "two"]
    assert (views[0]["Id"], views[0]["Path"]) == (created["Id"], str(daemon.views / "one"))
    assert views[0]["Transport"] == "kernel"
    mounts = {mount["Destination"]: mount for mount in views[1]["Mounts"]}
    assert set(mounts) == {"/data", "/volume01", "/volume02"}
    assert mounts["/data"]["SharedWith"] == ["one"]
    assert mounts["/data"]["RW"] is False
    assert set(mounts["/data"]) == {
        *("Destination", "Source", "Type", "Label", "RW", "SharedWith", "Coherence", "CoherenceReason"),
        *("Data", "DataReason"),
    }
    assert mounts["/data"]["Coherence"] == "strict"


@pytest.mark.parametrize(
    ("transport", "data"),
    [("kernel", ("passthrough", "")), ("fusepy", ("direct_io", "the fusepy transport cannot pass files through"))],
)
def test_views_say_how_data_travels_and_why(tmp_path, transport, data):
    needs(os.geteuid() == 0, "only root has files passed through")
    with DaemonProcess(tmp_path / "root", "--transport", transport) as daemon:
        client = docker.DockerClient(base_url=daemon.docker_host)
        client.api.import_image_from_data(rootfs(), repository="small", tag="1")
        client.api.create_container("small:1", name="one", volumes=["/data"])
        (view,) = client.api.get(f"{client.api.base_url}/volfuse/views").json()
        client.close()
    assert [(mount["Data"], mount["DataReason"]) for mount in view["Mounts"]] == [data]


def test_a_view_is_mounted_where_the_user_wants_it(call, sdk, daemon, image, tmp_path):
    needs(os.geteuid() == 0, "only root can bind a view")
    sdk.api.create_container(image, name="one")
    place = tmp_path / "place"
    place.mkdir()
    wanted = {"Container": "one", "Directory": str(place), "ReadOnly": True}
    assert call("POST", "/volfuse/mounts", json=wanted) == (204, None)
    try:
        assert call("GET", "/volfuse/mounts") == (200, [wanted])
        assert (place / "etc" / "issue").read_text() == "small\n"
        with pytest.raises(OSError, match="Read-only file system"):
            (place / "new").write_text("")
    finally:
        assert call("DELETE", "/volfuse/mounts", params={"directory": str(place)}) == (204, None)
    assert mount_at(os.fsencode(place)) is None
    assert call("GET", "/volfuse/mounts") == (200, [])


def test_all_views_are_mounted_and_come_back_after_a_restart(call, sdk, daemon, image, tmp_path):
    needs(os.geteuid() == 0, "only root can bind a view")
    sdk.api.create_container(image, name="one")
    place = tmp_path / "place"
    place.mkdir()
    call("POST", "/volfuse/mounts", json={"Directory": str(place)})
    assert os.listdir(place) == ["one"]
    assert daemon.stop() == 0
    assert os.listdir(place) == []
    daemon.start()
    assert os.listdir(place) == ["one"]
    assert call("DELETE", "/volfuse/mounts", params={"directory": str(place)})[0] == 204
    assert os.listdir(place) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"Container": "nope", "Directory": "/tmp"}, 404),
        ({"Directory": "relative"}, 400),
        ({"Directory": "/does/not/exist"}, 400),
        ({"Container": "one"}, 400),
        ({"Directory": 7}, 400),
    ],
)
def test_bad_mounts_are_refused(call, body, status):
    found, reply = call("POST", "/volfuse/mounts", json=body)
    assert found == status
    assert reply["message"]


def test_unmounting_what_is_not_mounted(call):
    assert call("DELETE", "/volfuse/mounts", params={"directory": "/tmp"})[0] == 404
    assert call("DELETE", "/volfuse/mounts")[0] == 400


def test_doctor(call):
    status, findings = call("GET", "/volfuse/doctor")
    assert status == 200
    assert {finding["State"] for finding in findings} <= {"ok", "degraded", "missing"}
    assert next(f for f in findings if f["Capability"] == "fuse device")["State"] == "ok"
