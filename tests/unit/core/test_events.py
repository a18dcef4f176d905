"""Encoding and filters of events, against what `docker events` documents."""

from __future__ import annotations

import json

import pytest

from volfuse.core.events import Event, EventType, encode_event, event_matches

CREATE = Event(
    EventType.CONTAINER,
    "create",
    "c0ffee",
    {"image": "mycentos:latest", "name": "web1", "tier": "front"},
    1_700_000_000_123_456_789,
)
VOLUME = Event(EventType.VOLUME, "create", "shared", {"driver": "local"}, 5)
EXEC = Event(EventType.CONTAINER, "exec_create: ls -l", "c0ffee", {"name": "web1"}, 6)
IMAGE = Event(EventType.IMAGE, "tag", "sha256:aa", {"name": "host:5000/app:v1"}, 7)


def test_container_event_has_the_old_fields_too():
    line = encode_event(CREATE)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert json.loads(line) == {
        "status": "create",
        "id": "c0ffee",
        "from": "mycentos:latest",
        "Type": "container",
        "Action": "create",
        "Actor": {
            "ID": "c0ffee",
            "Attributes": {"image": "mycentos:latest", "name": "web1", "tier": "front"},
        },
        "scope": "local",
        "time": 1_700_000_000,
        "timeNano": 1_700_000_000_123_456_789,
    }


def test_volume_event_has_no_old_fields():
    message = json.loads(encode_event(VOLUME))
    assert not {"status", "id", "from"} & set(message)


@pytest.mark.parametrize(
    ("event", "wanted", "passes"),
    [
        (CREATE, {}, True),
        (CREATE, {"type": ["container", "image"]}, True),
        (CREATE, {"type": ["volume"]}, False),
        (CREATE, {"event": ["create"]}, True),
        (CREATE, {"event": ["creat"]}, False),
        (EXEC, {"event": ["exec_create"]}, True),
        (EXEC, {"event": ["exec"]}, False),
        (CREATE, {"container": ["web"]}, True),
        (CREATE, {"container": ["c0f"]}, True),
        (CREATE, {"container": ["other", "web1"]}, True),
        (CREATE, {"container": ["eb1"]}, False),
        (VOLUME, {"volume": ["shared"]}, True),
        (VOLUME, {"volume": ["sharedx"]}, False),
        (CREATE, {"image": ["mycentos"]}, True),
        (CREATE, {"image": ["mycentos:latest"]}, True),
        (CREATE, {"image": ["mycentos:other"]}, False),
        (IMAGE, {"image": ["host:5000/app"]}, True),
        (IMAGE, {"image": ["sha256:aa"]}, True),
        (CREATE, {"label": ["tier"]}, True),
        (CREATE, {"label": ["tier=front"]}, True),
        (CREATE, {"label": ["tier=front", "other"]}, False),
        (CREATE, {"label": ["tier=back"]}, False),
        (CREATE, {"scope": ["local"]}, True),
        (CREATE, {"scope": ["swarm"]}, False),
        (CREATE, {"type": ["container"], "event": ["destroy"]}, False),
    ],
)
def test_filters(event, wanted, passes):
    assert event_matches(event, wanted) is passes
