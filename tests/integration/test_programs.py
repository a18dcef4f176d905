"""Programs in containers, driven by the unmodified `docker` command."""

from __future__ import annotations

import hashlib
import io
import os
import pty
import re
import select
import subprocess
import tarfile
import time

import pytest

from tests.integration.conftest import busybox_rootfs

_DEADLINE_S = 30.0


class Terminal:
    """The `docker` command on a terminal, driven by what it prints."""

    def __init__(self, daemon, *arguments: str) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execvpe("docker", ["docker", *arguments], {**os.environ, "DOCKER_HOST": daemon.docker_host})
        self.seen = b""
        self._status = None

    def expect(self, text: bytes) -> None:
        """Wait until the text has been printed."""
        deadline = time.monotonic() + _DEADLINE_S
        while text not in self.seen:
            ready, _, _ = select.select([self._fd], [], [], max(deadline - time.monotonic(), 0))
            assert ready, self.seen
            chunk = self._read()
            assert chunk, self.seen
            self.seen += chunk

    def type(self, keys: bytes) -> None:
        self.seen = b""
        os.write(self._fd, keys)

    def end(self) -> int:
        """Wait for the end of the command; return its exit status."""
        while chunk := self._read():
            self.seen += chunk
        _, status = os.waitpid(self._pid, 0)
        os.close(self._fd)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, 65536)
        except OSError:  # EIO: the command has ended
            return b""


@pytest.mark.parametrize(
    ("command", "status", "stderr"),
    [
        (["true"], 0, ""),
        (["sh", "-c", "exit 3"], 3, ""),
        (["sh", "-c", "kill -9 $$"], 0, ""),  # process 1 is safe from its own signals
        (["/no/such"], 127, 'exec: "/no/such": stat /no/such: no such file or directory'),
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
        (["/etc"], 126, 'exec: "/etc": is a directory'),
        (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_exit_codes_of_run(docker_command, busybox, command, status, stderr):
    assert stderr in docker_command("run", "--rm", busybox, *command, status=status).stderr
    assert docker_command("ps", "-aq").stdout == ""
    assert docker_command("volume", "ls", "-q").stdout == ""


@pytest.mark.parametrize(
    ("options", "stderr"),
    [
        (["-u", "nobody-here"], "unable to find user nobody-here: no matching entries in passwd file"),
        (["--network", "mine"], "network mine not found"),
        (["--network", "container:x"], "does not share networks"),
        (["--cap-add", "NOT_A_CAP"], "CAP_NOT_A_CAP"),
    ],
)
def test_what_cannot_start_leaves_nothing_behind(docker_command, busybox, options, stderr):
    assert stderr in docker_command("run", "--rm", *options, busybox, "true", status=125).stderr
    assert docker_command("ps", "-aq").stdout == ""


def test_a_binary_of_another_architecture(docker_command, busybox, daemon):
    docker_command("create", "--name", "one", busybox, "/bin/odd")
    odd = daemon.views / "one" / "bin" / "odd"
    odd.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    odd.chmod(0o755)
    done = docker_command("start", "-a", "one", status=126)
    assert "exec /bin/odd: exec format error" in done.stderr


def test_identity_environment_and_directory(docker_command, busybox):
    def out(*arguments: str) -> str:
        return docker_command("run", "--rm", *arguments).stdout

    assert out("-u", "ann", busybox, "id") == "uid=1000(ann) gid=1000(ann) groups=50(staff)\n"
    assert out("-u", "7:8", "--group-add", "staff", busybox, "id") == "uid=7 gid=8 groups=50(staff)\n"
    shown = out("-e", "A=b", "-w", "/made", "-h", "box", busybox, "sh", "-c", "echo $A $HOME $(pwd) $(hostname) $$")
    assert shown == "b /root /made box 1\n"
    assert out(busybox, "cat", "/etc/hosts").startswith("127.0.0.1\tlocalhost\n")
    assert out("--ulimit", "nofile=77:88", busybox, "sh", "-c", "ulimit -n; ulimit -Hn") == "77\n88\n"


def test_capabilities_are_dockers(docker_command, busybox):
    shown = docker_command("run", "--rm", busybox, "grep", "Cap", "/proc/self/status").stdout
    # Docker 26 to 28 on Linux, `docker run --rm busybox grep Cap /proc/self/status`
    assert shown.split()[1::2] == ["0000000000000000", *["00000000a80425fb"] * 3, "0000000000000000"]
    shown = docker_command("run", "--rm", "-u", "ann", busybox, "grep", "CapEff", "/proc/self/status").stdout
    assert shown.split()[1] == "0000000000000000"


def test_nothing_of_the_host_is_seen(docker_command, busybox):
    shown = docker_command(
        "run", "--rm", busybox, "sh", "-c", "ls /proc/self/fd | wc -l; ps; ip -o link; ls /dev"
    ).stdout
    lines = shown.splitlines()
    assert lines[0] == "4"  # standard streams and the listing's own
    assert [line.split()[0] for line in lines[1:4]] == ["PID", "1", re.split(r"\s+", lines[3].strip())[0]]
    assert next(line for line in lines if "LOOPBACK" in line).startswith("1: lo:")
    assert "console" not in lines


def test_read_only_root(docker_command, busybox):
    script = "touch /x; touch /data/y && echo ok; grep -c rw /proc/mounts >/dev/null; cat /etc/hostname"
    done = docker_command("run", "--rm", "--read-only", "-h", "box", busybox, "sh", "-c", script)
    assert "Read-only file system" in done.stderr
    assert done.stdout == "ok\nbox\n"


def test_a_mount_inside_a_read_only_mount(docker_command, busybox, tmp_path):
    docker_command("run", "-d", "--name", "one", "-v", "outer:/o", "-v", "inner:/o/in/ner", busybox, "sleep", "600")
    outer = docker_command("volume", "inspect", "-f", "{{.Mountpoint}}", "outer").stdout.strip()
    assert os.listdir(os.path.join(outer, "in")) == ["ner"]
    stderr = docker_command("run", "-v", "bare:/o:ro", "-v", "inner:/o/x", busybox, "true", status=125).stderr
    assert "read-only file system" in stderr


def test_standard_streams(docker_command, busybox):
    done = docker_command("run", "--rm", "-i", busybox, "sh", "-c", "cat; echo err >&2", stdin=b"in\n")
    assert (done.stdout, done.stderr) == ("in\n", "err\n")


def test_exec(docker_command, busybox):
    docker_command("run", "-d", "--name", "one", "-e", "A=b", busybox, "sleep", "600")
    done = docker_command("exec", "one", "sh", "-c", "echo $A; echo err >&2; exit 5", status=5)
    assert (done.stdout, done.stderr) == ("b\n", "err\n")
    assert docker_command(
        "exec", "-u", "ann", "-w", "/tmp", "-e", "A=c", "one", "sh", "-c", "id -un; pwd; echo $A"
    ).stdout == ("ann\n/tmp\nc\n")
    assert "no such file or directory" in docker_command("exec", "one", "/no/such", status=126).stdout
    assert "no such file or directory" in docker_command("exec", "-w", "/no", "one", "true", status=126).stdout
    docker_command("exec", "-d", "one", "touch", "/data/made")
    docker_command("exec", "one", "sh", "-c", "until test -e /data/made; do sleep 0.01; done")
    docker_command("stop", "-t", "0", "one")
    assert "is not running" in docker_command("exec", "one", "true", status=1).stderr


def test_exec_passes_much_through_without_keeping_it(docker_command, daemon, busybox, tmp_path):
    docker_command("run", "-d", "--name", "one", busybox, "sleep", "600")
    content = os.urandom(1 << 20) * 64
    before = _resident_bytes(daemon.pid)
    with open(tmp_path / "out", "wb") as out:
        environ = {**os.environ, "DOCKER_HOST": daemon.docker_host}
        subprocess.run(["docker", "exec", "-i", "one", "cat"], input=content, stdout=out, env=environ, timeout=60)
    came = (tmp_path / "out").read_bytes()
    assert (len(came), hashlib.sha256(came).digest()) == (len(content), hashlib.sha256(content).digest())
    assert _resident_bytes(daemon.pid) - before < 24 << 20


def _resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))


def test_terminal_detach_and_attach(daemon, docker_command, busybox):
    first = Terminal(daemon, "run", "-it", "--name", "one", busybox, "sh")
    first.expect(b"# ")
    first.type(b"test -t 0 && echo $((40+2)) $(tty)\n")
    first.expect(b"42 /dev/pts/0")
    first.type(b"\x10\x11")
    assert first.end() == 0
    second = Terminal(daemon, "attach", "one")
    second.type(b"echo $((50+5))\n")
    second.expect(b"55")
    second.type(b"\x10\x11")
    assert second.end() == 1
    assert b"read escape sequence" in second.seen
    third = Terminal(daemon, "attach", "--detach-keys", "ctrl-x", "one")
    third.type(b"exit 6\n")
    assert third.end() == 6
    assert docker_command("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "one").stdout == "exited 6\n"


def test_a_client_that_goes_away_does_not_end_the_program(daemon, docker_command, busybox):
    docker_command("run", "-d", "--name", "one", busybox, "sh", "-c", "while :; do echo tick; sleep 0.05; done")
    client = subprocess.Popen(
        ["docker", "attach", "--sig-proxy=false", "one"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, "DOCKER_HOST": daemon.docker_host},
    )
    assert client.stdout is not None
    assert client.stdout.readline() == b"tick\n"
    client.kill()
    client.communicate()
    assert docker_command("inspect", "-f", "{{.State.Running}}", "one").stdout == "true\n"


def test_logs(docker_command, busybox):
    docker_command("run", "--name", "one", busybox, "sh", "-c", "for i in 1 2 3 4 5; do echo $i; done; echo e >&2")
    assert docker_command("logs", "one").stdout == "1\n2\n3\n4\n5\n"
    assert docker_command("logs", "one").stderr == "e\n"
    assert docker_command("logs", "--tail", "3", "one").stdout == "4\n5\n"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z 1\n", docker_command("logs", "-t", "one").stdout)
    assert docker_command("logs", "--since", "2100-01-01T00:00:00", "one").stdout == ""


def test_logs_follow_until_the_end(docker_command, busybox):
    docker_command("run", "-d", "--name", "one", busybox, "sh", "-c", "echo a; sleep 0.3; echo b")
    assert docker_command("logs", "-f", "one").stdout == "a\nb\n"


def test_wait(docker_command, busybox):
    docker_command("run", "-d", "--name", "one", busybox, "sh", "-c", "sleep 0.2; exit 7")
    assert docker_command("wait", "one").stdout == "7\n"
    assert docker_command("wait", "one").stdout == "7\n"


def test_stop_kill_restart_and_pause(docker_command, busybox):
    program = "trap 'echo bye; exit 5' TERM; trap 'echo usr' USR1; echo up; while :; do sleep 0.02; done"
    docker_command("run", "-d", "--name", "one", busybox, "sh", "-c", program)

    def until(text: str) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while text not in docker_command("logs", "one").stdout:
            assert time.monotonic() < deadline

    until("up")
    docker_command("kill", "-s", "USR1", "one")
    until("usr")
    docker_command("stop", "one")
    assert docker_command("inspect", "-f", "{{.State.ExitCode}}", "one").stdout == "5\n"
    assert "is not running" in docker_command("kill", "one", status=1).stderr
    docker_command("restart", "one")
    docker_command("stop", "-t", "0", "one")
    assert docker_command("inspect", "-f", "{{.State.ExitCode}}", "one").stdout in ("137\n", "5\n")
    docker_command("start", "one")
    docker_command("pause", "one")
    assert "(Paused)" in docker_command("ps", "--format", "{{.Status}}").stdout
    assert "is paused" in docker_command("exec", "one", "true", status=1).stderr
    docker_command("unpause", "one")
    assert "sleep 0.02" in docker_command("top", "one").stdout or "sh -c" in docker_command("top", "one").stdout
    assert "container is running" in docker_command("rm", "one", status=1).stderr
    docker_command("rm", "-f", "one")


def test_restart_policy(docker_command, busybox):
    docker_command(
        "run", "-d", "--restart", "on-failure:2", "--name", "one", busybox, "sh", "-c", "echo run; sleep 0.01; exit 9"
    )
    deadline = time.monotonic() + _DEADLINE_S
    shown = ""
    while shown != "2 exited 9\n":
        shown = docker_command("inspect", "-f", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", "one").stdout
        assert time.monotonic() < deadline, shown
    assert docker_command("logs", "one").stdout == "run\n" * 3
    docker_command("update", "--restart", "no", "one")
    assert docker_command("inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", "one").stdout == "no\n"


def test_diff_export_and_commit(docker_command, busybox, tmp_path):
    script = "echo a > /etc/new; rm /etc/group; mkdir -p /opt/x; echo v > /data/v"
    docker_command("run", "--name", "one", busybox, "sh", "-c", script)
    assert docker_command("diff", "one").stdout.splitlines() == [
        "C /etc",
        "D /etc/group",
        "A /etc/new",
        "A /opt",
        "A /opt/x",
    ]
    docker_command("commit", "-a", "me", "-c", 'CMD ["cat", "/etc/new"]', "-c", "ENV A=b", "one", "made:1")
    assert docker_command("inspect", "-f", "{{.Author}}", "made:1").stdout == "me\n"
    assert docker_command("history", "--no-trunc", "--format", "{{.CreatedBy}}", "made:1").stdout.startswith("sh -c ")
    assert docker_command("run", "--rm", "made:1").stdout == "a\n"
    assert docker_command("run", "--rm", "made:1", "ls", "-A", "/data").stdout == ""
    assert docker_command("inspect", "-f", "{{json .Config.Volumes}}", "made:1").stdout == '{"/data":{}}\n'
    docker_command("export", "-o", str(tmp_path / "tar"), "one")
    with tarfile.open(tmp_path / "tar") as tar:
        names = {os.path.normpath(name) for name in tar.getnames()}
    assert {"etc/new", "opt/x"} <= names
    assert "data/v" not in names


def test_events_of_a_run(docker_command, busybox):
    docker_command("run", "--rm", "-v", "named:/n", busybox, "true")
    events = docker_command(
        "events", "--since", "1", "--until", str(int(time.time()) + 1), "--format", "{{.Type}} {{.Action}}"
    )
    actions = [line for line in events.stdout.splitlines() if not line.startswith("image")]
    wanted = [
        *("volume create", "volume create", "container create", "container attach", "volume mount", "volume mount"),
        *(
            "container start",
            "volume unmount",
            "volume unmount",
            "container die",
            "volume destroy",
            "container destroy",
        ),
    ]
    assert actions == wanted


def test_init_reaps_and_hands_signals_on(docker_command, busybox):
    docker_command("run", "-d", "--init", "--name", "one", busybox, "sleep", "600")
    docker_command("stop", "one")  # without an init process 1 would ignore the signal for ten seconds
    assert docker_command("inspect", "-f", "{{.State.ExitCode}}", "one").stdout == "143\n"


def test_the_daemon_ends_its_programs(docker_command, busybox, daemon):
    docker_command("run", "-d", "--name", "one", busybox, "sleep", "600")
    pid = int(docker_command("inspect", "-f", "{{.State.Pid}}", "one").stdout)
    assert daemon.stop() == 0
    assert not os.path.exists(f"/proc/{pid}")
    daemon.start()
    assert docker_command("inspect", "-f", "{{.State.Status}}", "one").stdout == "exited\n"


def test_after_a_kill_of_the_daemon(docker_command, busybox, daemon):
    docker_command("run", "-d", "--name", "plain", busybox, "sleep", "600")
    docker_command("run", "-d", "--name", "again", "--restart", "always", busybox, "sleep", "600")
    docker_command("run", "-d", "--name", "gone", "--rm", busybox, "sleep", "600")
    pid = int(docker_command("inspect", "-f", "{{.State.Pid}}", "plain").stdout)
    daemon.kill()
    daemon.start()
    assert not os.path.exists(f"/proc/{pid}")
    shown = docker_command("ps", "-a", "--format", "{{.Names}} {{.State}}").stdout.splitlines()
    assert sorted(shown) == ["again running", "plain exited"]
    assert docker_command("inspect", "-f", "{{.State.ExitCode}}", "plain").stdout == "255\n"
    docker_command("exec", "again", "true")
    assert (daemon.views / "plain" / "etc" / "passwd").read_text().startswith("root:")


def test_many_rounds_leave_nothing_behind(docker_command, busybox, daemon):
    docker_command("run", "--rm", busybox, "true")
    before = _traces(daemon)
    for _ in range(30):
        docker_command("run", "--rm", busybox, "true")
    assert _traces(daemon) == before


def _traces(daemon) -> dict[str, int]:
    with open("/proc/self/mountinfo") as mounts:
        count = sum(str(daemon.root) in line for line in mounts)
    with open(f"/proc/{daemon.pid}/task/{daemon.pid}/children") as children:
        launchers = children.read().split()
    with open(f"/proc/{launchers[0]}/task/{launchers[0]}/children") as children:
        programs = children.read().split()
    return {
        "mounts": count,
        "directories": sum(len(os.listdir(daemon.root / name)) for name in ("containers", "staging", "volumes")),
        "launcher's files": len(os.listdir(f"/proc/{launchers[0]}/fd")),
        "programs": len(programs),
    }


def test_a_tmpfs_is_empty_at_the_next_start(docker_command, busybox, daemon):
    docker_command("run", "-d", "--name", "one", "--tmpfs", "/t", "-v", "/kept", busybox, "sleep", "600")
    docker_command("exec", "one", "sh", "-c", "mkdir -p /t/d && echo 1 > /t/d/f && echo 1 > /kept/f")
    assert os.listdir(daemon.views / "one" / "t" / "d") == ["f"]
    docker_command("stop", "-t", "0", "one")
    docker_command("start", "one")
    listed = docker_command("exec", "one", "ls", "-A", "/t", "/kept").stdout
    assert listed.split() == ["/kept:", "f", "/t:"]
    assert os.listdir(daemon.views / "one" / "t") == []
    docker_command("rm", "-f", "-v", "one")


@pytest.mark.parametrize(
    ("destination", "stderr"),
    [("rel", "invalid mount path: 'rel' mount path must be absolute"), ("/", "destination can't be '/'")],
)
def test_destinations_that_pass_create_and_not_start(docker_command, busybox, destination, stderr):
    docker_command("create", "--name", "one", "-v", destination, busybox, "true")
    assert stderr in docker_command("start", "one", status=1).stderr
    docker_command("rm", "-v", "one")


def test_files_of_a_container_below_etc(docker_command, daemon):
    """Docker's own are there, and links of an image are followed, also where they lead to nothing."""
    archive = io.BytesIO(busybox_rootfs())
    with tarfile.open(fileobj=archive, mode="a") as tar:
        for name, target in (("etc/resolv.conf", "../run/systemd/resolv.conf"), ("etc/hosts", "/etc/hosts.real")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    docker_command("import", "-", "linked:1", stdin=archive.getvalue())
    show = "cd /etc; cat hostname; grep -c localhost hosts; cat resolv.conf; readlink mtab; readlink hosts"
    shown = docker_command("run", "--rm", "-h", "here", "--dns", "192.0.2.1", "linked:1", "sh", "-c", show).stdout
    assert shown == "here\n2\nnameserver 192.0.2.1\n/proc/mounts\n/etc/hosts.real\n"
