"""An ordinary user with fusermount3: no passthrough, all else as for root."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from tests.support import needs

USER = pwd.getpwnam("nobody").pw_uid  # fusermount3 wants a user with a name
ROOT = Path(__file__).resolve().parents[3]


def test_an_ordinary_user_serves_by_fusermount(base: Path) -> None:
    needs(os.geteuid() == 0, "becoming another user needs root")
    needs(shutil.which("fusermount3") is not None, "fusermount3 is not installed")
    needs(shutil.which("unshare") is not None, "unshare is not installed")
    (base / "user").mkdir()
    os.chown(base / "user", USER, USER)
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-m", "tests.integration.kernel.rootless", str(base), str(USER)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "listed": ["directory", "file", "mapped"],
        "mapped": True,
        "private": "private",
        "uid": USER,
        "refusals": {"*": "CAP_SYS_ADMIN is missing"},
        "handles": 0,
        "mounted": False,
    }


SUITE = ("names", "directories", "files", "rename", "links", "unlinked", "locks", "sparse")
NEEDS_ROOT = "test_special_files or test_attributes_go_on"  # they make devices and give files away


def test_the_conformance_suite_holds_for_an_ordinary_user(base: Path) -> None:
    needs(os.geteuid() == 0, "becoming another user needs root")
    for program in ("fusermount3", "unshare", "setpriv"):
        needs(shutil.which(program) is not None, f"{program} is not installed")
    (base / "user").mkdir()
    os.chown(base / "user", USER, USER)
    node = base / "fuse"  # the machine's own device may be for root only
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(10, 229))
    node.chmod(0o666)
    # The interpreter may lie where only root can look: reading is what the user may do more than others.
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    user += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    chosen = ["-k", f"kernel and not ({NEEDS_ROOT})", *(f"tests/conformance/test_{theme}.py" for theme in SUITE)]
    inside = 'mount --bind "$0" /dev/fuse && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", inside, str(node), *user, *pytest_command, *chosen],
        cwd=ROOT,
        env={**os.environ, "VOLFUSE_ROOTLESS": "1", "TMPDIR": str(base / "user"), "HOME": str(base / "user")},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
