"""The demo tells its story to the end and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import needs
from volfuse.sys.mountinfo import read_mountinfo

STORY = Path(__file__).parents[2] / "scripts" / "story.py"


def test_the_story_holds(tmp_path):
    needs(shutil.which("busybox") is not None, "the image is made of busybox-static")
    needs(shutil.which("bwrap") is not None, "containers run in bubblewrap")
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    told = subprocess.run([sys.executable, STORY], env=environ, capture_output=True, text=True, timeout=110)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.endswith("The story holds.\n")
    assert list(tmp_path.iterdir()) == []
    assert [m for m in read_mountinfo() if m.mount_point.startswith(os.fsencode(tmp_path))] == []
