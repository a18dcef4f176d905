"""Lock, notices to the service manager, stale mounts, doctor."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from volfuse.core.coherence import Coherence
from volfuse.daemon.doctor import Condition, coherence, examine, not_leased, unwatched
from volfuse.daemon.lock import RootInUse, lock_root
from volfuse.daemon.notify import notify
from volfuse.sys.mountinfo import parse_mountinfo, read_mountinfo
from volfuse.transport.stalemounts import mounts_below

MOUNTINFO = b"""\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /r/views rw,nosuid shared:20 master:3 - fuse.volfuse volfuse rw,user_id=0
41 40 0:41 / /r/views/c\\0401 rw - fuse.volfuse volfuse rw
42 22 0:42 / /r/viewsx rw - fuse volfuse rw
43 22 0:43 / /r/views/tmp rw - tmpfs tmpfs rw
44 22 0:44 / /r/views/other rw - fuse.sshfs host: rw
"""


def test_one_daemon_a_root(tmp_path):
    with lock_root(tmp_path), pytest.raises(RootInUse, match=f"process id {os.getpid()}"), lock_root(tmp_path):
        pass
    with lock_root(tmp_path):
        pass


@pytest.mark.parametrize("abstract", [True, False])
def test_notices_reach_the_service_manager(tmp_path, monkeypatch, abstract):
    name = f"@volfuse-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1))
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify("READY=1")
        assert manager.recv(64) == b"READY=1"


def test_without_a_service_manager_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_only_our_mounts_at_or_below_the_directory_are_looked_at():
    assert list(mounts_below(b"/r/views", parse_mountinfo(MOUNTINFO))) == [b"/r/views", b"/r/views/c 1"]


def test_doctor_leaves_nothing_and_gives_advice_for_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    root = tmp_path / "not" / "yet"
    findings = examine(root)
    assert os.listdir(tmp_path) == []
    assert len({f.capability for f in findings}) == len(findings)
    assert all(f.advice for f in findings if f.state is not Condition.OK)
    bwrap = next(f for f in findings if f.capability == "bubblewrap")
    assert bwrap.state is Condition.DEGRADED
    assert set(bwrap.to_json()) == {"Capability", "State", "Detail", "Advice"}


def test_doctor_says_whether_the_kernel_transport_and_passthrough_work(tmp_path):
    found = {f.capability: f for f in examine(tmp_path)}
    assert found["kernel transport"].state is Condition.OK or found["kernel transport"].advice
    passthrough = found["passthrough"]
    if os.geteuid() != 0:
        assert passthrough.detail == "reads and writes go through the daemon: CAP_SYS_ADMIN is missing"
    assert os.listdir(tmp_path) == []
    assert list(mounts_below(os.fsencode(tmp_path), read_mountinfo())) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.EPERM, "CAP_SYS_ADMIN is missing"), (errno.ELOOP, "the source lies on a stack of file systems")],
)
def test_doctor_says_why_files_are_not_passed_through(tmp_path, monkeypatch, number, reason):
    monkeypatch.setattr("volfuse.transport.kernel.initialise.backing_open", lambda _device, _fd: -number)
    found = {f.capability: f for f in examine(tmp_path)}["passthrough"]
    assert found.state is Condition.DEGRADED
    assert found.detail == f"reads and writes go through the daemon: {reason}"
    assert list(mounts_below(os.fsencode(tmp_path), read_mountinfo())) == []


def test_doctor_says_what_bubblewrap_says(tmp_path, monkeypatch):
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    found = next(f for f in examine(tmp_path / "root") if f.capability == "bubblewrap")
    assert found.state is Condition.DEGRADED
    assert found.detail == f"{program}: bwrap: No permissions to create new namespace"
    assert "programs cannot be run in containers" in found.advice


def test_doctor_says_the_default_coherence():
    assert coherence(Coherence.LEASE, "kernel").detail == "lease where a volume, bind or mount chooses none"
    assert "as exact, whatever is chosen" in coherence(Coherence.LEASE, "fusepy").detail


def test_doctor_says_which_sources_are_not_leased():
    assert list(not_leased({})) == []
    (finding,) = not_leased({"data": "no more watches", "/srv": "the watcher has failed"})
    assert finding.state is Condition.DEGRADED
    assert finding.detail == "strict instead: data: no more watches; /srv: the watcher has failed"
    assert "max_user_watches" in finding.advice


def test_doctor_says_which_sources_cannot_be_watched():
    assert list(unwatched([])) == []
    (finding,) = unwatched(["volume a: no more watches", "/srv: it has too many directories"])
    assert finding.state is Condition.DEGRADED
    assert "volume a: no more watches; /srv: it has too many directories" in finding.detail
    assert "max_user_watches" in finding.advice
