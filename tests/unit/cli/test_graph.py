"""graph: what is asked of the daemon, and the formats."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from .canned import VOLUME_ID
from .conftest import Run
from .fakedaemon import FakeDaemon, Reply
from .test_verbs import VIEWS


@pytest.fixture(autouse=True)
def canned(fake: FakeDaemon) -> None:
    fake.routes["GET /volfuse/views"] = Reply(VIEWS)
    fake.routes["GET /volumes"] = Reply({"Volumes": [{"Name": "spare"}], "Warnings": None})


def test_text_is_the_default(volfuse: Run) -> None:
    shown = volfuse("graph").out
    assert shown == f"volume {VOLUME_ID[:12]}\n└─ web   running   /v (read-only)\n\nvolume spare (unused)\n"
    assert volfuse("graph", "--no-trunc").out == shown.replace(VOLUME_ID[:12], VOLUME_ID)


def test_other_formats(volfuse: Run) -> None:
    assert volfuse("graph", "--format", "dot").out.startswith("digraph volfuse {\n")
    assert ElementTree.fromstring(volfuse("graph", "--format=svg").out).tag == "{http://www.w3.org/2000/svg}svg"
    found = json.loads(volfuse("graph", "--format", "json").out)
    assert [source["Name"] for source in found["Sources"]] == [VOLUME_ID, "spare"]


def test_nothing_to_show(fake: FakeDaemon, volfuse: Run) -> None:
    fake.routes["GET /volfuse/views"] = Reply([])
    fake.routes["GET /volumes"] = Reply({"Volumes": None, "Warnings": None})
    done = volfuse("graph")
    assert (done.status, done.out, done.err) == (0, "", "there are no containers and no volumes\n")


def test_an_unknown_format_is_refused(volfuse: Run) -> None:
    done = volfuse("graph", "--format", "png")
    assert (done.status, done.out) == (1, "")
    assert done.err == "invalid value for --format: 'png' is none of text, dot, svg, json\n"
