"""Options of a new container that volfuse has not."""

from __future__ import annotations

import pytest

from volfuse.core.hostchecks import check_config, check_host, check_size, left_out
from volfuse.core.wire import Config, CreateRequest, HostConfig, LogConfig
from volfuse.errors import InvalidSpec, Unsupported


@pytest.mark.parametrize(
    ("host", "option"),
    [
        ({"cgroup_parent": "/x"}, "--cgroup-parent"),
        ({"devices": [{"PathOnHost": "/dev/fuse"}]}, "--device"),
        ({"device_cgroup_rules": ["c 1:3 rwm"]}, "--device-cgroup-rule"),
        ({"device_requests": [{"Count": -1}]}, "--gpus"),
        ({"ipc_mode": "host"}, "--ipc"),
        ({"ipc_mode": "container:c"}, "--ipc"),
        ({"links": ["c:d"]}, "--link"),
        ({"log_config": LogConfig(type="syslog")}, "--log-driver"),
        ({"pid_mode": "host"}, "--pid"),
        ({"storage_opt": {"size": "1G"}}, "--storage-opt size"),
        ({"sysctls": {"net.ipv4.ip_forward": "1"}}, "--sysctl"),
        ({"uts_mode": "host"}, "--uts"),
        ({"security_opt": ["seccomp={}"]}, "--security-opt seccomp"),
        ({"security_opt": ["apparmor=mine"]}, "--security-opt apparmor"),
        ({"masked_paths": []}, "--security-opt systempaths"),
    ],
)
def test_what_volfuse_does_not_do_is_refused_with_a_sentence(host, option):
    with pytest.raises(Unsupported, match=rf"^volfuse does not support {option}: [a-z]"):
        check_host(HostConfig(**host))


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ({"runtime": "runsc"}, "unknown or invalid runtime name: runsc"),
        ({"isolation": "hyperv"}, "invalid isolation 'hyperv' on linux"),
        ({"cgroupns_mode": "x"}, "invalid cgroup namespace mode: x"),
        ({"userns_mode": "x"}, "invalid USER mode: x"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
        ({"oom_score_adj": 1001}, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        ({"extra_hosts": ["a"]}, 'bad format for add-host: "a"'),
        ({"extra_hosts": ["a:b"]}, 'invalid IP address in add-host: "b"'),
        ({"security_opt": ["what"]}, 'invalid --security-opt 1: "what"'),
        ({"security_opt": ["what=ever"]}, 'invalid --security-opt 2: "what=ever"'),
        ({"security_opt": ["no-new-privileges=perhaps"]}, 'invalid --security-opt 2: "no-new-privileges=perhaps"'),
        ({"storage_opt": {"inotify": "yes"}}, 'invalid storage option inotify="yes": must be on, off or auto'),
        ({"console_size": (-1, 0)}, "a terminal cannot have -1 rows or columns"),
    ],
)
def test_what_docker_refuses(host, text):
    with pytest.raises(InvalidSpec) as caught:
        check_host(HostConfig(**host))
    assert str(caught.value) == text


@pytest.mark.parametrize(
    "host",
    [
        {},
        {"runtime": "runc", "isolation": "default", "cgroupns_mode": "host", "userns_mode": "host"},
        {"ipc_mode": "shareable", "log_config": LogConfig(type="none"), "extra_hosts": ["a:::1", "b:1.2.3.4"]},
        {"storage_opt": {"inotify": "off"}},
        {"security_opt": ["no-new-privileges", "no-new-privileges:false", "label=disable", "seccomp=unconfined"]},
    ],
)
def test_what_volfuse_does(host):
    check_host(HostConfig(**host))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"working_dir": "here"}, "the working directory 'here' is invalid, it needs to be an absolute path"),
        ({"stop_signal": "SIGFOO"}, "invalid signal: SIGFOO"),
        ({"env": ["A=b", "=b"]}, "invalid environment variable: =b"),
        ({"env": ["A=\0"]}, "invalid environment variable: A=\0"),
        ({"entrypoint": ["a"], "cmd": ["b\0"]}, "invalid argument, it has a null byte: 'b\\x00'"),
    ],
)
def test_configs_that_docker_refuses(config, text):
    with pytest.raises(InvalidSpec) as caught:
        check_config(Config(**config))
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("host", "merged", "warning"),
    [
        ({"port_bindings": {"80/tcp": []}}, {}, "Published ports are discarded as containers have no network"),
        (
            {"publish_all_ports": True, "network_mode": "host"},
            {},
            "Published ports are discarded when using host network mode",
        ),
        ({"privileged": True}, {}, "A privileged container has all capabilities, but no devices of the host"),
        (
            {},
            {"healthcheck": {"Test": ["CMD", "true"]}},
            "The health check is not run: volfuse does not watch the health of containers",
        ),
    ],
)
def test_what_is_left_out_is_a_warning(host, merged, warning):
    assert left_out(CreateRequest(host_config=HostConfig(**host)), Config(**merged)) == [warning]


def test_nothing_is_left_out_of_a_plain_request():
    networks = {"EndpointsConfig": {"default": {"IPAMConfig": None, "MacAddress": ""}}}
    disabled = Config(healthcheck={"Test": ["NONE"]})
    assert left_out(CreateRequest(networking_config=networks), disabled) == []


def test_addresses_are_left_out():
    networks = {"EndpointsConfig": {"default": {"MacAddress": "92:d0:c6:0a:29:33"}}}
    assert left_out(CreateRequest(networking_config=networks), Config()) == [
        "Addresses are discarded as containers have no network"
    ]


@pytest.mark.parametrize("size", [(-1, 1), (1, 65536)])
def test_sizes_that_no_terminal_has(size):
    with pytest.raises(InvalidSpec, match="a terminal cannot have"):
        check_size(*size)
