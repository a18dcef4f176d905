"""Limits of resources; the words are Docker's (moby daemon/daemon_unix_test.go, daemon_unix.go)."""

from __future__ import annotations

import pytest

from volfuse.core.resources import Controller, limited, updated
from volfuse.core.wire import HostConfig, Resources
from volfuse.errors import Conflict, InvalidSpec

ALL = frozenset(Controller)
MIB = 1024 * 1024
LIMITS = {
    "memory": 8 * MIB,
    "memory_swap": 16 * MIB,
    "memory_reservation": 7 * MIB,
    "cpu_shares": 100,
    "cpu_period": 5000,
    "cpu_quota": 2000,
    "cpuset_cpus": "0-1",
    "cpuset_mems": "0",
    "pids_limit": 10,
}


def test_what_can_be_set_stays_as_it_was_asked_for():
    wanted = HostConfig(network_mode="host", **LIMITS)
    assert limited(wanted, ALL, 2) == (wanted, [])


def test_what_cannot_be_set_is_discarded_with_dockers_warning():
    kept, warnings = limited(Resources(**LIMITS), frozenset(), 2)
    assert kept == Resources()
    assert warnings == [
        "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
        "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. "
        "Limitation discarded.",
        "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
        "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.",
        "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
        "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.",
    ]


@pytest.mark.parametrize(
    "field",
    [
        {"memory_swappiness": 0},
        {"oom_kill_disable": True},
        {"blkio_weight": 10},
        {"blkio_device_read_bps": [{"Path": "/dev/sda", "Rate": 1}]},
        {"cpu_realtime_period": 1},
        {"kernel_memory": 8 * MIB},
        {"cpu_percent": 5},
    ],
)
def test_what_volfuse_never_sets_is_discarded_with_a_warning(field):
    kept, warnings = limited(Resources(**field), ALL, 2)
    assert kept == Resources()
    assert len(warnings) == 1
    assert warnings[0].startswith("volfuse does not support ")


@pytest.mark.parametrize("field", [{"memory_swappiness": -1}, {"oom_kill_disable": False}, {"pids_limit": -1}])
def test_no_limit_is_no_warning(field):
    assert limited(Resources(**field), frozenset(), 2)[1] == []


def test_memory_comes_with_as_much_swap():
    assert limited(Resources(memory=8 * MIB), ALL, 2)[0].memory_swap == 16 * MIB
    kept, warnings = limited(Resources(memory=8 * MIB), ALL - {Controller.SWAP}, 2)
    assert (kept.memory, kept.memory_swap) == (8 * MIB, -1)
    assert warnings == [
        "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
        "Memory limited without swap."
    ]


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"memory": 1}, "Minimum memory limit allowed is 6MB"),
        ({"memory_reservation": 1}, "Minimum memory reservation allowed is 6MB"),
        (
            {"memory": 8 * MIB, "memory_swap": 7 * MIB},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        ({"memory_swap": 7 * MIB}, "You should always set the Memory limit when using Memoryswap limit, see usage"),
        (
            {"memory": 8 * MIB, "memory_reservation": 9 * MIB},
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        ({"nano_cpus": 1, "cpu_period": 1000}, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        ({"nano_cpus": 1, "cpu_quota": 1000}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        (
            {"nano_cpus": 2_000_000_001},
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        ),
        ({"cpu_quota": 999}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (
            {"cpu_period": 999},
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        ({"cpuset_cpus": "0,2"}, "Requested CPUs are not available - requested 0,2, available: 0-1"),
        ({"cpuset_cpus": "one"}, "Invalid value one for cpuset cpus"),
        (
            {"io_maximum_iops": 1},
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
        ),
    ],
)
def test_what_docker_refuses(wanted, text):
    with pytest.raises(InvalidSpec) as caught:
        limited(Resources(**wanted), ALL, 2)
    assert str(caught.value) == text


def test_shares_are_kept_in_the_kernels_range():
    assert limited(Resources(cpu_shares=1), ALL, 2)[0].cpu_shares == 2
    assert limited(Resources(cpu_shares=300_000), ALL, 2)[0].cpu_shares == 262_144


def test_an_update_changes_what_it_names():
    old = HostConfig(network_mode="host", memory=8 * MIB, memory_swap=16 * MIB, pids_limit=10)
    new = updated(old, Resources(memory=9 * MIB, cpuset_cpus="1"))
    assert (new.network_mode, new.memory, new.memory_swap, new.pids_limit) == ("host", 9 * MIB, 16 * MIB, 10)
    assert new.cpuset_cpus == "1"
    assert updated(old, Resources(pids_limit=0)).pids_limit == 0


@pytest.mark.parametrize(
    ("old", "wanted", "text"),
    [
        (
            {"memory": 8 * MIB, "memory_swap": 16 * MIB},
            {"memory": 17 * MIB},
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ),
        (
            {"cpu_period": 1000},
            {"nano_cpus": 1},
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            {"nano_cpus": 1},
            {"cpu_quota": 1000},
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
    ],
)
def test_an_update_that_does_not_go_with_what_there_is(old, wanted, text):
    with pytest.raises(Conflict) as caught:
        updated(Resources(**old), Resources(**wanted))
    assert str(caught.value) == text


def test_memory_may_be_limited_where_swap_is_not():
    assert updated(Resources(memory_swap=-1), Resources(memory=8 * MIB)).memory == 8 * MIB
