"""An ordinary user with fusermount3: no passthrough, all else as for root."""

from __future__ import annotations

import json
import os
import pwd
import shutil
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
