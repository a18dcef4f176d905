"""How far a thread has come."""

from __future__ import annotations

import os
import threading

from volfuse.sys.threadstate import is_running, ran_ns


def test_a_thread_that_asks_runs_and_its_time_grows() -> None:
    thread = threading.get_native_id()
    assert is_running(thread)
    before = ran_ns(thread)
    while ran_ns(thread) == before:
        sum(range(1000))
    assert ran_ns(thread) > before


def test_a_thread_that_waits_does_not_run_and_one_that_has_ended_neither() -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(reader, 1)
        os._exit(0)
    while is_running(pid):
        pass
    waited = ran_ns(pid)
    assert waited > 0
    os.write(writer, b"x")
    os.waitpid(pid, 0)
    assert not is_running(pid)
    assert ran_ns(pid) == 0
    os.close(reader)
    os.close(writer)
