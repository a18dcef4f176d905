"""JSON of containers, volumes and images, against docker-semantics section 4 and recorded Docker replies."""

from __future__ import annotations

import pytest

from volfuse.api.render_container import container_json, container_summary_json
from volfuse.api.render_image import history_json, image_json, image_summary_json
from volfuse.api.render_text import command_line, human_duration, rfc3339_nano, status_text
from volfuse.api.render_volume import volume_json
from volfuse.core.ids import ContainerId, ImageId, VolumeName
from volfuse.core.model import Container, History, Image, MountPoint, MountType, State, Status, Volume
from volfuse.core.wire import Config, HostConfig

NS = 1_000_000_000
IMAGE_ID = ImageId("sha256:" + "a" * 64)
CONTAINER = Container(
    id=ContainerId("c" * 64),
    serial=1,
    name="web",
    created_ns=1_700_000_000 * NS + 120_000_000,
    image=IMAGE_ID,
    image_ref="mycentos:latest",
    config=Config(entrypoint=["/bin/sh", "-c"], cmd=["echo hi"], volumes={"/data": {}}),
    host_config=HostConfig(binds=["v1:/data"]),
    mounts=[
        MountPoint(type=MountType.TMPFS, destination="/zz", hidden=True),
        MountPoint(
            type=MountType.VOLUME,
            destination="/data",
            source="/r/volumes/v1/_data",
            name=VolumeName("v1"),
            driver="local",
            mode="z",
        ),
        MountPoint(type=MountType.BIND, destination="/b", source="/h", rw=False, mode="ro", propagation="rprivate"),
    ],
)
IMAGE = Image(
    id=IMAGE_ID,
    created_ns=1_700_000_000 * NS,
    config=Config(labels={"a": "b"}),
    size=10,
    layers=["sha256:ll"],
    history=[History(created_ns=NS, created_by="ADD"), History(created_ns=2 * NS, created_by="VOLUME", size=3)],
)

INSPECT_KEYS = frozenset(
    {
        *("Id", "Created", "Path", "Args", "State", "Image", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath"),
        *("Name", "RestartCount", "Driver", "Platform", "MountLabel", "ProcessLabel", "AppArmorProfile", "ExecIDs"),
        *("HostConfig", "GraphDriver", "Mounts", "Config", "NetworkSettings"),
    }
)


def test_inspect_has_every_key_of_docker():
    value = container_json(CONTAINER)
    assert set(value) == INSPECT_KEYS
    assert value["Name"] == "/web"
    assert value["Created"] == "2023-11-14T22:13:20.12Z"
    assert (value["Path"], value["Args"]) == ("/bin/sh", ["-c", "echo hi"])
    assert value["ExecIDs"] is None


def test_inspect_with_size():
    value = container_json(CONTAINER, size=(5, 15))
    assert (value["SizeRw"], value["SizeRootFs"]) == (5, 15)


def test_inspect_mounts_are_sorted_and_leave_out_tmpfs_options():
    assert container_json(CONTAINER)["Mounts"] == [
        {"Type": "bind", "Source": "/h", "Destination": "/b", "Mode": "ro", "RW": False, "Propagation": "rprivate"},
        {
            "Type": "volume",
            "Name": "v1",
            "Source": "/r/volumes/v1/_data",
            "Destination": "/data",
            "Driver": "local",
            "Mode": "z",
            "RW": True,
            "Propagation": "",
        },
    ]


def test_state_of_a_container_that_never_ran():
    state = container_json(CONTAINER)["State"]
    assert state["Status"] == "created"
    assert not any(state[flag] for flag in ("Running", "Paused", "Restarting", "OOMKilled", "Dead"))
    assert state["StartedAt"] == state["FinishedAt"] == "0001-01-01T00:00:00Z"


def test_host_config_echoes_the_request_and_resolves_the_network():
    host = container_json(CONTAINER)["HostConfig"]
    assert host["Binds"] == ["v1:/data"]
    assert host["VolumesFrom"] is None
    assert host["NetworkMode"] == "bridge"
    assert host["LogConfig"] == {"Type": "json-file", "Config": {}}
    assert "Mounts" not in host and "Tmpfs" not in host
    assert host["Memory"] == 0


def test_config_names_the_image_as_the_request_did_and_has_labels():
    config = container_json(CONTAINER)["Config"]
    assert config["Image"] == "mycentos:latest"
    assert config["Labels"] == {}
    assert config["Volumes"] == {"/data": {}}
    assert "Healthcheck" not in config


def test_list_entry():
    value = container_summary_json(CONTAINER, now_ns=0, image_name="mycentos:latest")
    assert value["Names"] == ["/web"]
    assert value["Command"] == "/bin/sh -c 'echo hi'"
    assert value["Created"] == 1_700_000_000
    assert (value["State"], value["Status"]) == ("created", "Created")
    assert value["Labels"] == {}
    assert [m["Destination"] for m in value["Mounts"]] == ["/b", "/data"]
    assert "SizeRw" not in value


def test_volume_object():
    volume = Volume(name=VolumeName("v1"), created_ns=1_700_000_000 * NS)
    value = volume_json(volume, "/r/v1/_data")
    assert value == {
        "CreatedAt": "2023-11-14T22:13:20Z",
        "Driver": "local",
        "Labels": None,
        "Mountpoint": "/r/v1/_data",
        "Name": "v1",
        "Options": None,
        "Scope": "local",
    }
    assert volume_json(volume, "/x", usage=(7, 2))["UsageData"] == {"Size": 7, "RefCount": 2}


def test_image_objects():
    summary = image_summary_json(IMAGE, ["m:latest"], 2)
    assert (summary["RepoTags"], summary["Created"], summary["Containers"]) == (["m:latest"], 1_700_000_000, 2)
    value = image_json(IMAGE, ["m:latest"])
    assert value["RootFS"] == {"Type": "layers", "Layers": ["sha256:ll"]}
    assert value["Created"] == "2023-11-14T22:13:20Z"


def test_history_is_newest_first_and_only_the_last_step_has_the_id():
    steps = history_json(IMAGE, ["m:latest"])
    assert [s["CreatedBy"] for s in steps] == ["VOLUME", "ADD"]
    assert [s["Id"] for s in steps] == [IMAGE_ID, "<missing>"]
    assert [s["Tags"] for s in steps] == [["m:latest"], None]


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (NS, "1970-01-01T00:00:01Z"),
        (NS + 1, "1970-01-01T00:00:01.000000001Z"),
        (NS + 500_000_000, "1970-01-01T00:00:01.5Z"),
    ],
)
def test_rfc3339_nano(time_ns, text):
    assert rfc3339_nano(time_ns) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [  # the examples of go-units' own test
        (0, "Less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (180, "3 minutes"),
        (35 * 60, "35 minutes"),
        (3600, "About an hour"),
        (45 * 60 + 3600, "2 hours"),
        (3 * 3600, "3 hours"),
        (24 * 3600, "24 hours"),
        (36 * 3600, "36 hours"),
        (2 * 86400, "2 days"),
        (7 * 86400, "7 days"),
        (14 * 86400, "2 weeks"),
        (35 * 86400, "5 weeks"),
        (60 * 86400, "2 months"),
        (365 * 86400, "12 months"),
        (2 * 365 * 86400, "2 years"),
    ],
)
def test_human_duration(seconds, text):
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State(), "Created"),
        (State(status=Status.RUNNING, started_ns=97 * NS), "Up 3 seconds"),
        (State(status=Status.PAUSED, started_ns=97 * NS), "Up 3 seconds (Paused)"),
        (State(status=Status.EXITED, exit_code=3, finished_ns=95 * NS), "Exited (3) 5 seconds ago"),
        (State(status=Status.DEAD), "Dead"),
    ],
)
def test_status_text(state, text):
    assert status_text(state, 100 * NS) == text


def test_command_line_without_arguments():
    assert command_line("/bin/sh", []) == "/bin/sh"
