"""Cgroups: what is written and read, and the kernel's own where they can be made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import needs
from volfuse.core.resources import Controller
from volfuse.core.wire import Resources
from volfuse.errors import Internal, Unsupported
from volfuse.runner.cgroups import Cgroup, Cgroups, join, members_files
from volfuse.runner.cgroupsettings import settings_v1, settings_v2
from volfuse.runner.usage import usage_of

MIB = 1024 * 1024
FULL = {
    "memory": 8 * MIB,
    "memory_swap": 10 * MIB,
    "memory_reservation": 7 * MIB,
    "cpu_shares": 512,
    "nano_cpus": 500_000_000,
    "cpuset_cpus": "0",
    "cpuset_mems": "0",
    "pids_limit": 9,
}


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        (
            FULL,
            [
                ("memory", "memory.limit_in_bytes", "8388608"),
                ("memory", "memory.memsw.limit_in_bytes", "10485760"),
                ("memory", "memory.soft_limit_in_bytes", "7340032"),
                ("cpu", "cpu.shares", "512"),
                ("cpu", "cpu.cfs_period_us", "100000"),
                ("cpu", "cpu.cfs_quota_us", "50000"),
                ("cpuset", "cpuset.cpus", "0"),
                ("cpuset", "cpuset.mems", "0"),
                ("pids", "pids.max", "9"),
            ],
        ),
        ({"cpu_quota": -1}, [("cpu", "cpu.cfs_quota_us", "-1")]),
        ({"pids_limit": 0}, [("pids", "pids.max", "max")]),
        ({}, []),
    ],
)
def test_settings_of_version_1(limits, wanted):
    assert list(settings_v1(Resources(**limits))) == wanted


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        (
            FULL,
            [
                ("memory", "memory.max", "8388608"),
                ("memory", "memory.swap.max", "2097152"),
                ("memory", "memory.low", "7340032"),
                ("cpu", "cpu.weight", "20"),
                ("cpu", "cpu.max", "50000 100000"),
                ("cpuset", "cpuset.cpus", "0"),
                ("cpuset", "cpuset.mems", "0"),
                ("pids", "pids.max", "9"),
            ],
        ),
        ({"memory": 8, "memory_swap": -1}, [("memory", "memory.max", "8"), ("memory", "memory.swap.max", "max")]),
        ({"cpu_period": 5000}, [("cpu", "cpu.max", "max 5000")]),
        ({"cpu_shares": 2}, [("cpu", "cpu.weight", "1")]),
        ({"cpu_shares": 262_144}, [("cpu", "cpu.weight", "10000")]),
        ({"cpu_shares": 1024}, [("cpu", "cpu.weight", "39")]),  # runc's own example
    ],
)
def test_settings_of_version_2(limits, wanted):
    assert list(settings_v2(Resources(**limits))) == wanted


@pytest.mark.parametrize(
    ("version", "name", "text", "killed"),
    [
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", True),
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", False),
        (2, "memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n", True),
        (2, "memory.events", "low 0\nhigh 0\nmax 5\noom 0\noom_kill 0\n", False),
    ],
)
def test_a_kill_for_lack_of_memory(tmp_path, version, name, text, killed):
    (tmp_path / name).write_text(text)
    assert Cgroup(version, {"memory": tmp_path}, "").has_killed() == killed


def test_without_cgroups_the_reason_is_said(tmp_path):
    cgroups = Cgroups.find(tmp_path)
    assert (cgroups.controllers, cgroups.reason) == (frozenset(), "no cgroups are mounted")
    cgroup = cgroups.of("c")
    cgroup.limit(Resources(memory=8 * MIB))
    assert cgroup.made == []
    with pytest.raises(Unsupported, match="no cgroups are mounted"):
        cgroup.freeze(os.getpid())
    assert not cgroup.has_killed()
    cgroup.thaw()
    cgroup.remove()


@pytest.fixture(params=["/sys/fs/cgroup", "/sys/fs/cgroup/unified"])
def cgroups(request):
    """The kernel's own, of version 1 and of version 2 where both are mounted."""
    found = Cgroups.find(Path(request.param))
    needs(not found.reason, f"{request.param}: {found.reason}")
    needs(shutil.which("unshare") is not None, "unshare is not installed")
    return found


@contextmanager
def container(cgroup, *command):
    """Run a program as process 1 of a process namespace; the cgroup goes away with it."""
    files = members_files(cgroup.made)
    words = ["unshare", "--pid", "--fork", "--kill-child", *command]
    program = subprocess.Popen(words, preexec_fn=lambda: join(files), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        for fd in files:
            os.close(fd)
        assert program.stdout.readline() == b"started\n"
        pid = int(Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text())
        yield program, pid
    finally:
        program.kill()
        cgroup.thaw()
        program.wait()
        program.stdin.close()
        program.stdout.close()
        cgroup.remove()
        assert cgroup.made == []


def used_ns(pid):
    usage = usage_of([pid])
    return usage.user_ns + usage.kernel_ns


def test_a_container_stands_still_when_frozen(cgroups):
    cgroup = cgroups.of(f"test-{uuid.uuid4().hex}")
    with container(cgroup, "sh", "-c", "echo started; while :; do :; done") as (_, pid):
        before = used_ns(pid)
        while used_ns(pid) == before:
            pass
        cgroup.freeze(pid)
        while (still := used_ns(pid)) != used_ns(pid):
            pass
        busy_until = time.process_time() + 0.2  # longer than what /proc counts by
        while time.process_time() < busy_until:
            pass
        assert used_ns(pid) == still
        cgroup.thaw()
        while used_ns(pid) == still:
            pass


def test_what_a_killed_daemon_left_frozen_is_swept_away(cgroups):
    name = f"test-{uuid.uuid4().hex}"
    cgroup = cgroups.of(name)
    with container(cgroup, "sh", "-c", "echo started; exec sleep 600") as (program, pid):
        cgroup.freeze(pid)
        os.kill(pid, signal.SIGKILL)
        cgroups.sweep([name])
        assert cgroup.made == []
        program.wait(10)


@pytest.mark.parametrize(
    ("late", "limits"),
    [
        (False, {"pids_limit": 2}),  # unshare is a member too
        (True, {"pids_limit": 1}),
        (False, {"memory": 8 * MIB, "memory_swap": 8 * MIB}),
        (True, {"memory": 8 * MIB, "memory_swap": 8 * MIB}),
    ],
)
def test_limits_hold_from_the_start_and_later(late, limits):
    cgroups = Cgroups.find()
    needs({Controller.PIDS, Controller.SWAP} <= cgroups.controllers, f"no such limits: {cgroups.reason}")
    cgroup = cgroups.of(f"test-{uuid.uuid4().hex}")
    if not late:
        cgroup.limit(Resources(**limits))
    script = "echo started; read go; (true) || exit 3; x=aaaaaaaa; while [ ${#x} -lt 50000000 ]; do x=$x$x; done"
    with container(cgroup, "busybox", "sh", "-c", script) as (program, pid):
        if late:
            cgroup.limit(Resources(**limits), pid)
        program.communicate(b"go\n")
        assert program.returncode != 0
        assert cgroup.has_killed() == ("memory" in limits)


def test_limits_can_be_raised_and_lowered():
    cgroups = Cgroups.find()
    needs(Controller.SWAP in cgroups.controllers, f"no such limit: {cgroups.reason}")
    cgroup = cgroups.of(f"test-{uuid.uuid4().hex}")
    try:
        for memory in (8 * MIB, 400 * MIB, 8 * MIB):
            cgroup.limit(Resources(memory=memory, memory_swap=2 * memory))
        cgroup.limit(Resources(memory=400 * MIB, memory_swap=-1))
    finally:
        cgroup.remove()


def test_no_limit_is_no_cgroup():
    cgroups = Cgroups.find()
    needs({Controller.CPU, Controller.PIDS} <= cgroups.controllers, f"no such limits: {cgroups.reason}")
    cgroup = cgroups.of(f"test-{uuid.uuid4().hex}")
    try:
        cgroup.limit(Resources(pids_limit=0, cpu_quota=-1))  # the docker command always says so of processes
        assert cgroup.made == []
        cgroup.limit(Resources(pids_limit=5))
        cgroup.limit(Resources(pids_limit=-1))
        assert (Path(cgroup.made[0]) / "pids.max").read_text() == "max\n"
    finally:
        cgroup.remove()


def test_a_limit_that_the_kernel_refuses_is_named():
    cgroups = Cgroups.find()
    needs(Controller.CPUSET in cgroups.controllers, f"no such limit: {cgroups.reason}")
    cgroup = cgroups.of(f"test-{uuid.uuid4().hex}")
    try:
        with pytest.raises(Internal, match=r"^failed to write 4000 to cpuset\.mems: "):
            cgroup.limit(Resources(cpuset_mems="4000"))
    finally:
        cgroup.remove()


def test_the_time_of_a_removal_is_bounded(cgroups, caplog):
    cgroup = cgroups.of(f"test-{uuid.uuid4().hex}")
    with container(cgroup, "sh", "-c", "echo started; exec sleep 600") as (_, pid):
        cgroup.freeze(pid)
        cgroup.remove()
        assert "stays until the next start" in caplog.text


def test_usage_counts_what_has_ended_too():
    script = "import os; [os.getpid() for _ in range(3_000_000)]"
    then = f"subprocess.run([sys.executable, '-c', {script!r}]); print('x', flush=True); input()"
    parent = f"import subprocess, sys; {then}"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        usage = usage_of([program.pid, 1 << 30])
        program.communicate(b"\n")
    assert usage.user_ns > 50_000_000
    assert usage.memory_bytes > MIB
    assert usage.tasks == 1
    assert usage.machine_ns > usage.user_ns
