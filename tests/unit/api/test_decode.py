"""Bodies as Docker's clients send them, and wrong ones."""

from __future__ import annotations

import pytest

from volfuse.api.decode import parse_json
from volfuse.core.wire import CreateRequest, LogConfig
from volfuse.errors import InvalidSpec


def test_null_is_the_zero_value_everywhere():
    body = b"""{"Hostname": null, "Tty": null, "Env": null, "Volumes": {"/x": null}, "Labels": {"a": null},
        "HostConfig": {"Binds": null, "LogConfig": null, "RestartPolicy": null, "Mounts":
        [{"Type": "volume", "Source": null, "VolumeOptions": {"Labels": null}}]}}"""
    request = parse_json(body, CreateRequest)
    assert request.hostname == ""
    assert request.volumes == {"/x": {}}
    assert request.labels == {"a": ""}
    assert request.host_config.log_config == LogConfig()
    assert request.host_config.mounts is not None
    assert request.host_config.mounts[0].source == ""


def test_unknown_fields_are_ignored():
    assert parse_json(b'{"Image": "x", "MacAddress": null, "Nope": {"a": 1}}', CreateRequest).image == "x"


def test_a_command_may_be_one_string():
    request = parse_json(b'{"Cmd": "ls", "Entrypoint": "/bin/sh"}', CreateRequest)
    assert (request.cmd, request.entrypoint) == (["ls"], ["/bin/sh"])


def test_null_in_free_maps_stays():
    ports = {"80/tcp": None}
    request = parse_json(b'{"HostConfig": {"PortBindings": {"80/tcp": null}}}', CreateRequest)
    assert request.host_config.port_bindings == ports


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"Image": 3}', "$.Image"),
        (b'{"HostConfig": {"Binds": "a:/b"}}', "$.HostConfig.Binds"),
        (b'{"HostConfig": {"Binds": [1]}}', "$.HostConfig.Binds[0]"),
        (b'{"HostConfig": {"Mounts": [{"ReadOnly": "yes"}]}}', "$.HostConfig.Mounts[0].ReadOnly"),
        (b'{"Labels": {"a": 1}}', "$.Labels"),
        (b"[]", "expected `object`"),
    ],
)
def test_wrong_types_are_refused_and_named(body, named):
    with pytest.raises(InvalidSpec) as caught:
        parse_json(body, CreateRequest)
    assert named.lower() in str(caught.value).lower()


@pytest.mark.parametrize("body", [b"{", b"nope", b'{"Image": "\xff"}', b"{} {}", b"[" * 100_000])
def test_what_is_no_json_is_refused(body):
    with pytest.raises(InvalidSpec, match="invalid JSON"):
        parse_json(body, CreateRequest)
