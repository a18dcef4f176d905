"""Changing limits and restart policies of containers."""

from __future__ import annotations

import msgspec
import pytest

from tests.unit.engine.conftest import Opened
from tests.unit.engine.fakerunner import FakeRunner
from tests.unit.engine.support import request
from volfuse.core.wire import Resources, RestartPolicy
from volfuse.errors import InvalidSpec

MIB = 1024 * 1024


@pytest.fixture
def running(tmp_path):
    """An engine with a fake runner that can limit memory and processors, and a running container `c1`."""
    found = Opened(tmp_path / "root", FakeRunner())
    wanted = msgspec.structs.replace(request(memory=8 * MIB), cmd=["program"])
    found.engine.containers.create(wanted, name="c1")
    assert found.engine.starts.start("c1")
    yield found
    found.engine.lifecycle.close()
    found.store.close()


def host(opened):
    return opened.engine.containers.get("c1").host_config


def test_limits_reach_the_running_program_and_stay(running):
    assert running.engine.updates.update("c1", Resources(nano_cpus=5)) == []
    limits = running.runner.started(1).limits
    assert (limits.memory, limits.nano_cpus) == (8 * MIB, 5)
    assert (host(running).memory, host(running).nano_cpus) == (8 * MIB, 5)


def test_limits_that_cannot_be_set_are_a_warning(running):
    warnings = running.engine.updates.update("c1", Resources(pids_limit=5))
    assert warnings == [
        "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."
    ]
    assert host(running).pids_limit is None


def test_a_refused_limit_changes_nothing(running):
    before = host(running)
    with pytest.raises(InvalidSpec, match="unknown policy 'odd'"):
        running.engine.updates.update("c1", Resources(nano_cpus=5), RestartPolicy(name="odd"))
    assert host(running) == before
    assert running.runner.started(1).limits is None


def test_an_end_by_lack_of_memory_is_noted_and_nothing_is_left(running):
    process = running.runner.started(1)
    process.out_of_memory = True
    process.end(137)
    run = running.engine.lifecycle._runs.get(running.engine.containers.get("c1").id)
    assert run is None or run.settled.wait(10)
    assert running.engine.containers.get("c1").state.oom_killed
    assert process.cleared
