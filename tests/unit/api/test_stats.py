"""What a container uses, as Docker's clients are told."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tests.unit.api.fakes import engine_of
from tests.unit.api.test_app import get
from volfuse.api.render_stats import stats_json
from volfuse.core.usage import Usage
from volfuse.core.wire import HostConfig

CONTAINER = SimpleNamespace(name="c", id="f" * 64, host_config=HostConfig(memory=8192, pids_limit=9))


def observing(usage):
    return engine_of(observation=SimpleNamespace(usage=lambda name: (CONTAINER, usage)))


@pytest.mark.parametrize(
    ("usage", "query"),
    [(Usage(tasks=3, processors=2), "stream=0&one-shot=1"), (None, "stream=false"), (None, "stream=0")],
)
def test_one_sample(tmp_path, usage, query):
    status, headers, body = get(tmp_path, observing(usage), f"/containers/c/stats?{query}")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    sample = json.loads(body)
    assert (sample["name"], sample["id"]) == ("/c", "f" * 64)
    assert sample["pids_stats"] == ({"current": 3, "limit": 9} if usage else {})


def test_a_stream_of_one_sample_is_refused(tmp_path):
    status, _, body = get(tmp_path, observing(None), "/containers/c/stats?one-shot=1")
    assert (status, json.loads(body)) == (400, {"message": "cannot have stream=true and one-shot=true"})


def test_a_sample_has_what_clients_calculate_with():
    before = Usage(kernel_ns=4, user_ns=6, machine_ns=100, processors=2)
    now = Usage(kernel_ns=10, user_ns=20, machine_ns=200, processors=2, memory_bytes=4096, tasks=3)
    sample = stats_json(CONTAINER, 2_000_000_000, now, 1_000_000_000, before)
    assert (sample["preread"], sample["read"]) == ("1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z")
    assert sample["precpu_stats"]["cpu_usage"]["total_usage"] == 10
    assert sample["cpu_stats"]["cpu_usage"] == {
        "total_usage": 30,
        "usage_in_kernelmode": 10,
        "usage_in_usermode": 20,
    }
    assert (sample["cpu_stats"]["system_cpu_usage"], sample["cpu_stats"]["online_cpus"]) == (200, 2)
    assert sample["memory_stats"] == {"usage": 4096, "limit": 8192}
    assert sample["pids_stats"] == {"current": 3, "limit": 9}
