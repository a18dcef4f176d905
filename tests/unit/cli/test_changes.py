"""log and `events --changes`: what is asked for, and how changes are printed."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from volfuse.cli.changes import CHANGE
from volfuse.cli.listing import Row

from .canned import VOLUME_ID
from .conftest import Run
from .fakedaemon import FakeDaemon, Reply, error

WRITE = {
    "Cursor": "0123456789ab-7",
    "Sequence": 7,
    "TimeNano": 1_700_000_000_000_000_005,
    "Kind": "write",
    "Volume": VOLUME_ID,
    "Source": "/r/volumes/x/_data",
    "Path": "a/b",
    "Origin": "container",
    "Container": "web",
    "ContainerID": "c" * 64,
    "UID": 0,
    "GID": 5,
    "PID": 77,
    "Bytes": 3,
    "Size": 11,
    "Command": "sh",
}
RENAME = {
    "Cursor": "0123456789ab-8",
    "Sequence": 8,
    "TimeNano": 1_700_000_001_000_000_000,
    "Kind": "rename",
    "Volume": "",
    "Source": "/srv/site",
    "Path": "old\n",
    "NewPath": "café",
    "Origin": "host",
}
MISSED = {"Cursor": "0123456789ab-6", "Missed": 3, "Reason": "the reader fell behind"}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def canned(fake: FakeDaemon, *changes: dict[str, Any]) -> None:
    fake.routes["GET /volfuse/changes"] = Reply(chunks=[json.dumps(change).encode() + b"\n" for change in changes])


def test_changes_as_they_come(fake: FakeDaemon, volfuse: Run) -> None:
    canned(fake, WRITE, MISSED, RENAME)
    done = volfuse("events", "--changes")
    assert done.out.splitlines() == [
        "2023-11-14T22:13:20.000000005Z web write bbbbbbbbbbbb:a/b (sh[77], uid=0, size=11, bytes=3)",
        "2023-11-14T22:13:21.000000000Z host rename /srv/site:old\\n -> café",
    ]
    assert done.err == "missed 3 changes: the reader fell behind\n"
    assert fake.requests[-1].query == {"follow": ["1"]}


def test_names_that_are_no_text_are_exact() -> None:
    item = {**WRITE, "Path": "caf\ufffd", "PathBase64": base64.b64encode(b"caf\xe9").decode()}
    assert os.fsencode(Row(item, CHANGE).field("Path")) == b"caf\xe9"


def test_what_is_asked_for(fake: FakeDaemon, volfuse: Run) -> None:
    canned(fake)
    volfuse("events", "--changes", "--volume", "data", "--container", "web", "--since", "0123456789ab-7")
    assert fake.requests[-1].query == {
        "follow": ["1"], "volume": ["data"], "container": ["web"], "since": ["0123456789ab-7"],
    }  # fmt: skip
    volfuse("events", "--changes", "--since", "2023-11-14T22:13:20Z")
    assert fake.requests[-1].query["since"] == ["1700000000.000000000"]


def test_json_is_that_of_the_api(fake: FakeDaemon, volfuse: Run) -> None:
    canned(fake, WRITE, MISSED)
    out = volfuse("events", "--changes", "--format", "json").out
    assert [json.loads(line) for line in out.splitlines()] == [WRITE, MISSED]


def test_templates(fake: FakeDaemon, volfuse: Run) -> None:
    canned(fake, WRITE)
    assert volfuse("events", "--changes", "--format", "{{.By}} {{.Kind}} {{.Path}} {{.UID}}").out == "web write a/b 0\n"
    done = volfuse("events", "--changes", "--format", "{{.Nope}}")
    assert (done.status, done.out) == (1, "")
    assert "Nope" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--changes", "--filter", "type=volume"), "--filter and --until do not go with --changes\n"),
        (("--changes", "--until", "1"), "--filter and --until do not go with --changes\n"),
        (("--volume", "x"), "--volume and --container need --changes\n"),
    ],
)
def test_options_that_do_not_go_together(volfuse: Run, arguments: tuple[str, ...], message: str) -> None:
    done = volfuse("events", *arguments)
    assert (done.status, done.err) == (1, message)


def test_who_touched_a_volume(fake: FakeDaemon, volfuse: Run) -> None:
    canned(fake, WRITE, RENAME)
    assert [line.split() for line in volfuse("log", "data").out.splitlines()] == [
        ["TIME", "BY", "PROGRAM", "UID", "CHANGE"],
        ["2023-11-14T22:13:20.000000005Z", "web", "sh[77]", "0", "write", "bbbbbbbbbbbb:a/b"],
        ["2023-11-14T22:13:21.000000000Z", "host", "rename", "/srv/site:old\\n", "->", "café"],
    ]
    assert fake.requests[-1].query == {"latest": ["20"], "volume": ["data"]}


def test_who_touched_a_file(fake: FakeDaemon, volfuse: Run, home: Path) -> None:
    canned(fake, WRITE)
    (home / "here").touch()
    for subject, path in (("here", home / "here"), ("./gone", home / "gone"), ("/srv/../srv/x", "/srv/x")):
        volfuse("log", "-n", "1", subject)
        assert fake.requests[-1].query == {"latest": ["1"], "at": [os.fspath(path)]}


def test_nothing_known(fake: FakeDaemon, volfuse: Run) -> None:
    canned(fake)
    done = volfuse("log", "data")
    assert (done.status, done.err) == (0, "no change of data is known\n")


def test_refusals(fake: FakeDaemon, volfuse: Run) -> None:
    fake.routes["GET /volfuse/changes"] = error(404, "get data: no such volume")
    done = volfuse("log", "data")
    assert (done.status, done.out) == (1, "")
    assert "get data: no such volume" in done.err
    assert volfuse("log", "-n", "0", "data").err == "invalid value for --tail: 0 is less than 1\n"
