"""Programs started by an ordinary user, in a user namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import volfuse
from tests.support import needs

USER = 1000

SCRIPT = """
import sys, threading
from pathlib import Path
from volfuse.core.runplan import Program, RunPlan, Sandbox
from volfuse.engine.streams import Output
from volfuse.runner.cgroups import Cgroups
from volfuse.runner.runner import LauncherRunner, runner_lock

root, *arguments = sys.argv[1:]
ended, codes = threading.Event(), []
def on_exit(code):
    codes.append(code)
    ended.set()
output = Output(lambda stream, chunk: sys.stdout.write(chunk.decode()))
with runner_lock(Path(root + ".lock")) as lock_fd, LauncherRunner(lock_fd, Cgroups()) as runner:
    sandbox = Sandbox(name="c", view=root, hostname="box", host_network="host-network" in arguments)
    plan = RunPlan(sandbox=sandbox, program=Program(arguments=arguments, environment=[]))
    runner.run(plan, output, None, on_exit)
    assert ended.wait(30)
sys.exit(codes[0])
"""


@pytest.fixture
def as_user():
    needs(os.geteuid() == 0, "only root can become another user")
    busybox = shutil.which("busybox")
    needs(busybox is not None, "busybox-static is not installed")
    packages = [str(Path(volfuse.__file__).parents[1]), *(path for path in sys.path if path.endswith("-packages"))]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(packages)}

    def run(python, *arguments):
        return subprocess.run(
            [python, *arguments],
            user=USER,
            group=USER,
            extra_groups=[],
            env=environ,
            cwd="/",
            capture_output=True,
            text=True,
        )

    def works(python):
        try:
            return run(python, "-c", "import msgspec, volfuse.runner.launcher").returncode == 0
        except PermissionError:
            return False

    python = next((p for p in (sys.executable, "/usr/bin/python3") if os.path.exists(p) and works(p)), None)
    needs(python is not None, "no Python that another user may execute and that has the packages")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        root = Path(directory, "root")
        (root / "bin").mkdir(parents=True)
        shutil.copy(busybox, root / "bin" / "busybox")
        for path in (root, root / "bin", root / "bin" / "busybox"):
            os.chown(path, USER, USER)
        yield lambda *arguments: run(python, "-c", SCRIPT, str(root), *arguments)


def test_the_user_is_root_inside(as_user):
    done = as_user("/bin/busybox", "sh", "-c", "busybox id -u; echo $$; exit 3")
    assert (done.stdout, done.returncode) == ("0\n1\n", 3), done.stderr


def test_files_belong_to_the_user_outside(as_user):
    done = as_user("/bin/busybox", "stat", "-c", "%u %g", "/bin/busybox")
    assert done.stdout == "0 0\n", done.stderr


def test_the_network_of_the_host(as_user):
    show = "busybox readlink /proc/self/ns/net; exit 4"
    done = as_user("/bin/busybox", "sh", "-c", show, "host-network")
    assert (done.stdout.strip(), done.returncode) == (os.readlink("/proc/self/ns/net"), 4), done.stderr
