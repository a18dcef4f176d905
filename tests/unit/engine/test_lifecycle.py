"""Runs of containers, with programs that end when the test says so."""

from __future__ import annotations

import threading

import msgspec
import pytest

from tests.unit.engine.conftest import Opened
from tests.unit.engine.fakerunner import FakeRunner
from tests.unit.engine.support import request
from volfuse.core.model import Status
from volfuse.core.wire import RestartPolicy
from volfuse.engine.runs import Condition
from volfuse.errors import Conflict, NotFound, Unavailable

_S = 10.0


class Waited:
    """A wait for a container, as a client of the API waits."""

    def __init__(self, opened, reference: str, condition: Condition = Condition.NOT_RUNNING) -> None:
        self._resolved = threading.Event()
        _, self._wait = opened.engine.observation.wait(reference, condition, self._resolved.set)

    @property
    def resolved(self) -> bool:
        return self._resolved.is_set()

    def code(self) -> int:
        assert self._resolved.wait(_S)
        return self._wait.code


@pytest.fixture
def running(tmp_path):
    """An engine with a fake runner, and that runner."""
    found = Opened(tmp_path / "root", FakeRunner())
    yield found
    found.engine.lifecycle.close()
    found.store.close()


def start(opened, **host) -> str:
    wanted = msgspec.structs.replace(request(**host), cmd=["program"])
    created = opened.engine.containers.create(wanted, name="c1")
    assert opened.engine.starts.start("c1")
    return created.id


def state(opened):
    return opened.engine.containers.get("c1").state


def test_exit_code_and_order_of_events(running):
    start(running)
    over = Waited(running, "c1", Condition.NEXT_EXIT)
    running.runner.started(1).end(3)
    assert over.code() == 3
    assert (state(running).status, state(running).exit_code) == (Status.EXITED, 3)
    after_create = running.actions()[running.actions().index("container create") + 1 :]
    assert after_create == ["volume mount", "container start", "volume unmount", "container die"]


def test_starting_what_runs_says_so(running):
    start(running)
    assert not running.engine.starts.start("c1")
    assert len(running.runner.processes) == 1


def test_on_failure_starts_again_as_often_as_it_says(running):
    start(running, restart_policy=RestartPolicy("on-failure", 2))
    over = Waited(running, "c1")
    for count in (1, 2, 3):
        running.runner.started(count).end(7)
    assert over.code() == 7
    assert len(running.runner.processes) == 3
    assert running.engine.containers.get("c1").restart_count == 2


def test_on_failure_leaves_what_ended_well(running):
    start(running, restart_policy=RestartPolicy("on-failure"))
    over = Waited(running, "c1")
    running.runner.started(1).end(0)
    assert over.code() == 0
    assert len(running.runner.processes) == 1


def test_wait_for_the_next_exit_ends_before_the_restart_and_not_running_does_not(running):
    start(running, restart_policy=RestartPolicy("always"))
    next_exit, not_running = Waited(running, "c1", Condition.NEXT_EXIT), Waited(running, "c1")
    running.runner.started(1).end(0)
    assert next_exit.code() == 0
    running.runner.started(2)
    assert not not_running.resolved
    running.engine.lifecycle.stop("c1")
    assert not_running.code() == 128 + 15


def test_stop_while_it_waits_to_be_started_again(running):
    start(running, restart_policy=RestartPolicy("always"))
    next_exit = Waited(running, "c1", Condition.NEXT_EXIT)
    running.runner.started(1).end(1)
    next_exit.code()
    running.engine.lifecycle.stop("c1")
    assert state(running).status is Status.EXITED


def test_auto_remove(running):
    start(running, auto_remove=True)
    removed = Waited(running, "c1", Condition.REMOVED)
    running.runner.started(1).end(4)
    assert removed.code() == 4
    with pytest.raises(NotFound):
        running.engine.containers.get("c1")


def test_restart_keeps_a_container_with_auto_remove(running):
    start(running, auto_remove=True)
    running.engine.lifecycle.restart("c1")
    assert state(running).status is Status.RUNNING
    assert len(running.runner.processes) == 2


def test_stop_kills_what_does_not_end(tmp_path):
    opened = Opened(tmp_path / "root", FakeRunner(ends_by=(9,)))
    start(opened)
    opened.engine.lifecycle.stop("c1", timeout_s=0)
    assert opened.runner.started(1).signals == [15, 9]
    assert state(opened).exit_code == 137
    opened.store.close()


def test_pause_and_unpause(running):
    start(running)
    running.engine.lifecycle.pause("c1")
    assert state(running).status is Status.PAUSED
    with pytest.raises(Conflict, match="is already paused"):
        running.engine.lifecycle.pause("c1")
    running.engine.lifecycle.unpause("c1")
    assert running.runner.started(1).signals == ["freeze", "thaw"]


def test_kill_of_what_does_not_run(running):
    created = running.engine.containers.create(request(), name="c1")
    with pytest.raises(Conflict, match=f"cannot kill container: c1: container {created.id} is not running"):
        running.engine.lifecycle.kill("c1")


def test_nothing_is_started_when_the_daemon_ends(running):
    start(running, restart_policy=RestartPolicy("always"))
    running.engine.lifecycle.close()
    assert state(running).status is Status.EXITED
    with pytest.raises(Unavailable, match="the daemon is ending"):
        running.engine.starts.start("c1")
    assert len(running.runner.processes) == 1


@pytest.mark.parametrize(
    ("policy", "status"), [("no", Status.EXITED), ("always", Status.RUNNING), ("unless-stopped", Status.RUNNING)]
)
def test_after_a_kill_of_the_daemon(running, policy, status):
    start(running, restart_policy=RestartPolicy(policy))
    running.reopen()
    running.engine.lifecycle.restore()
    assert state(running).status is status
    assert len(running.runner.processes) == (2 if status is Status.RUNNING else 1)
    if status is Status.EXITED:
        assert state(running).exit_code == 255


def test_after_a_kill_of_the_daemon_what_had_auto_remove_is_gone(running):
    start(running, auto_remove=True)
    running.reopen()
    running.engine.lifecycle.restore()
    with pytest.raises(NotFound):
        running.engine.containers.get("c1")
