"""Values about programs: accounts, capabilities, signals, restart policies, detach keys."""

from __future__ import annotations

import pytest

from volfuse.core.accounts import Account, resolve_account
from volfuse.core.capabilities import DEFAULT, capability_numbers
from volfuse.core.restart import check_policy, next_wait_s, restarts, restarts_with_daemon
from volfuse.core.signals import parse_signal
from volfuse.core.wire import HostConfig, RestartPolicy
from volfuse.errors import InvalidSpec

PASSWD = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100::/home/ann:/bin/sh\nbroken\nodd:x:y:z::/:\n"
GROUP = "root:x:0:\nusers:x:100:\nstaff:x:50:ann,bob\nwheel:x:10:root,ann\n"


@pytest.mark.parametrize(
    ("spec", "more", "account"),
    [
        ("", [], Account(0, 0, (10,), "/root")),
        ("ann", [], Account(1000, 100, (50, 10), "/home/ann")),
        ("1000", [], Account(1000, 100, (50, 10), "/home/ann")),
        ("ann:staff", [], Account(1000, 50, (), "/home/ann")),
        ("ann:7", ["users", "9"], Account(1000, 7, (100, 9), "/home/ann")),
        ("77", [], Account(77, 0, (), "/")),
        ("77:88", [], Account(77, 88, (), "/")),
        (":50", [], Account(0, 50, (), "/root")),
    ],
)
def test_accounts(spec, more, account):
    assert resolve_account(spec, PASSWD, GROUP, more) == account


@pytest.mark.parametrize(
    ("spec", "more", "message"),
    [
        ("bob", [], "unable to find user bob: no matching entries in passwd file"),
        ("ann:none", [], "unable to find group none: no matching entries in group file"),
        ("ann", ["none"], "unable to find group none: no matching entries in group file"),
        ("2147483648", [], "uids and gids must be in range 0-2147483647"),
    ],
)
def test_unknown_accounts(spec, more, message):
    with pytest.raises(InvalidSpec) as caught:
        resolve_account(spec, PASSWD, GROUP, more)
    assert str(caught.value) == message


def test_accounts_of_an_image_without_files():
    assert resolve_account("", "", "") == Account(0, 0, (), "/")


def test_default_capabilities():
    assert sum(1 << number for number in capability_numbers(None, None)) == 0xA80425FB  # Docker's CapBnd
    assert len(DEFAULT) == 14


@pytest.mark.parametrize(
    ("add", "drop", "privileged", "bits"),
    [
        (["SYS_ADMIN"], None, False, 0xA80425FB | 1 << 21),
        (["cap_sys_admin"], ["CAP_CHOWN"], False, (0xA80425FB | 1 << 21) & ~1),
        (None, ["ALL"], False, 0),
        (["CHOWN"], ["all"], False, 1),
        (["ALL"], ["CHOWN"], False, (1 << 41) - 2),
        (None, None, True, (1 << 41) - 1),
    ],
)
def test_capabilities(add, drop, privileged, bits):
    assert sum(1 << number for number in capability_numbers(add, drop, privileged=privileged)) == bits


def test_an_unknown_capability():
    with pytest.raises(InvalidSpec, match='unknown capability: "CAP_FLY"'):
        capability_numbers(["fly"], None)


@pytest.mark.parametrize(
    ("text", "number"),
    [("9", 9), ("KILL", 9), ("sigterm", 15), ("SIGUSR1", 10), ("RTMIN", 34), ("SIGRTMIN+3", 37), ("RTMAX-1", 63)],
)
def test_signals(text, number):
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "NOPE", "RTMIN+99", "-9"])
def test_no_signals(text):
    with pytest.raises(InvalidSpec, match="invalid signal"):
        parse_signal(text)


@pytest.mark.parametrize(
    ("name", "maximum", "code", "count", "stopped", "again"),
    [
        ("no", 0, 1, 0, False, False),
        ("", 0, 1, 0, False, False),
        ("always", 0, 0, 7, False, True),
        ("always", 0, 0, 7, True, False),
        ("unless-stopped", 0, 0, 7, False, True),
        ("on-failure", 0, 0, 0, False, False),
        ("on-failure", 0, 1, 99, False, True),
        ("on-failure", 3, 1, 2, False, True),
        ("on-failure", 3, 1, 3, False, False),
    ],
)
def test_restarts(name, maximum, code, count, stopped, again):
    policy = RestartPolicy(name=name, maximum_retry_count=maximum)
    assert restarts(policy, exit_code=code, count=count, stopped=stopped) is again


@pytest.mark.parametrize(
    ("name", "was_running", "stopped", "again"),
    [
        ("no", True, False, False),
        ("always", True, False, True),
        ("always", False, True, True),
        ("always", False, False, False),
        ("unless-stopped", True, False, True),
        ("unless-stopped", False, True, False),
        ("on-failure", True, False, True),
    ],
)
def test_restarts_with_the_daemon(name, was_running, stopped, again):
    policy = RestartPolicy(name=name)
    assert restarts_with_daemon(policy, exit_code=255, was_running=was_running, stopped=stopped) is again


def test_the_wait_doubles_up_to_a_minute_and_begins_anew():
    waits = [0.0]
    for _ in range(12):
        waits.append(next_wait_s(waits[-1], 0.0))
    assert waits[1:4] == [0.1, 0.2, 0.4]
    assert waits[-1] == 60.0
    assert next_wait_s(60.0, 11.0) == 0.1


@pytest.mark.parametrize(
    ("policy", "auto_remove"),
    [
        (RestartPolicy(name="sometimes"), False),
        (RestartPolicy(name="always", maximum_retry_count=1), False),
        (RestartPolicy(name="on-failure", maximum_retry_count=-1), False),
        (RestartPolicy(name="always"), True),
    ],
)
def test_bad_policies(policy, auto_remove):
    with pytest.raises(InvalidSpec):
        check_policy(HostConfig(restart_policy=policy, auto_remove=auto_remove))
