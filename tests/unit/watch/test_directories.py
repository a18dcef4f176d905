"""The directory watcher hears what happens in directories, and says so when it cannot."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import needs
from tests.unit.watch.support import Heard
from volfuse.core.watching import WatchEvent, What
from volfuse.errors import Unavailable
from volfuse.sys.owned import owned
from volfuse.watch.directories import DirectoryWatcher


@pytest.fixture
def watcher(open_descriptors: None) -> Iterator[DirectoryWatcher]:
    with DirectoryWatcher() as watcher:
        yield watcher


def watch(watcher: DirectoryWatcher, directory: Path, heard: Heard) -> object:
    with owned(os.open(directory, os.O_PATH | os.O_DIRECTORY)) as fd:
        return watcher.watch(fd, heard)


def test_it_hears_what_inotify_hears(watcher: DirectoryWatcher, tmp_path: Path) -> None:
    heard = Heard()
    watch(watcher, tmp_path, heard)
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "d").mkdir()
    (tmp_path / "b").chmod(0o600)
    (tmp_path / "d").rmdir()
    (tmp_path / "b").unlink()
    assert heard.until("DELETE b") == [
        "CREATE a", "MODIFY a", "CLOSE_WRITE a", "MOVED_FROM a", "MOVED_TO b", "CREATE|ISDIR d", "ATTRIB b",
        "DELETE|ISDIR d", "DELETE b",
    ]  # fmt: skip


def test_both_halves_of_a_rename_have_one_cookie(watcher: DirectoryWatcher, tmp_path: Path) -> None:
    heard = Heard()
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
        watch(watcher, tmp_path / name, heard)
    (tmp_path / "from" / "x").touch()
    (tmp_path / "from" / "x").rename(tmp_path / "to" / "y")
    heard.until("CLOSE_WRITE x")
    gone, come = heard.events.get(timeout=20), heard.events.get(timeout=20)
    assert (gone.what, come.what) == (What.MOVED_FROM, What.MOVED_TO)
    assert gone.cookie == come.cookie != 0


def test_a_renamed_directory_is_followed(watcher: DirectoryWatcher, tmp_path: Path) -> None:
    heard = Heard()
    (tmp_path / "old").mkdir()
    watch(watcher, tmp_path / "old", heard)
    (tmp_path / "old").rename(tmp_path / "new")
    (tmp_path / "new" / "x").mkdir()
    assert heard.until("CREATE|ISDIR x") == ["MOVE_SELF", "CREATE|ISDIR x"]


def test_all_listeners_of_a_directory_hear_until_they_stop(watcher: DirectoryWatcher, tmp_path: Path) -> None:
    one, two = Heard(), Heard()
    first = watch(watcher, tmp_path, one)
    watch(watcher, tmp_path, two)
    assert len(watcher) == 1
    (tmp_path / "a").mkdir()
    assert one.until("CREATE|ISDIR a") == two.until("CREATE|ISDIR a")
    first.close()
    first.close()
    (tmp_path / "b").mkdir()
    assert two.until("CREATE|ISDIR b") == ["CREATE|ISDIR b"]
    assert one.events.empty()


def test_a_removed_directory_is_forgotten(watcher: DirectoryWatcher, tmp_path: Path) -> None:
    heard = Heard()
    (tmp_path / "d").mkdir()
    gone = watch(watcher, tmp_path / "d", heard)
    (tmp_path / "d").rmdir()
    assert heard.until("IGNORED") == ["DELETE_SELF", "IGNORED"]
    gone.close()


def test_names_are_bytes(watcher: DirectoryWatcher, tmp_path: Path) -> None:
    heard = Heard()
    watch(watcher, tmp_path, heard)
    os.mkdir(os.fsencode(tmp_path) + b"/\xff\xfe")
    assert heard.events.get(timeout=20) == WatchEvent(b"\xff\xfe", What.CREATE | What.ISDIR)


def test_a_file_is_refused(watcher: DirectoryWatcher, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        watch(watcher, tmp_path / "file", Heard())


def test_lost_events_are_told(watcher: DirectoryWatcher, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    watch(watcher, tmp_path, heard)
    watcher._tell([(-1, int(What.OVERFLOW), 0, b"")])
    assert "max_queued_events" in heard.losses.get(timeout=20)
    assert "were lost" in caplog.text


def test_a_failing_watcher_is_loud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Heard):
        def happened(self, event: WatchEvent) -> None:
            raise RuntimeError("a bug")

    with DirectoryWatcher() as watcher:
        heard = Heard()
        (tmp_path / "other").mkdir()
        watch(watcher, tmp_path, Broken())
        watch(watcher, tmp_path / "other", heard)
        (tmp_path / "a").mkdir()
        assert "failed" in heard.losses.get(timeout=20)
        with pytest.raises(Unavailable, match="failed"):
            watch(watcher, tmp_path, heard)
    assert "a bug" in caplog.text


LIMITED = """
import os, sys
from tests.unit.watch.support import Heard
from volfuse.errors import Unavailable
from volfuse.watch.directories import DirectoryWatcher
with open("/proc/sys/user/max_inotify_watches", "w") as file:
    file.write("3")
with DirectoryWatcher() as watcher:
    for number in range(5):
        directory = f"{sys.argv[1]}/{number}"
        os.mkdir(directory)
        try:
            watcher.watch(os.open(directory, os.O_PATH), Heard())
        except Unavailable as exc:
            print(number, exc)
"""


def test_running_out_of_watches_is_said(tmp_path: Path) -> None:
    """The limit is that of a user namespace of the test's own."""
    limited = ["unshare", "--user", "--map-root-user"]
    needs(subprocess.run([*limited, "true"], check=False).returncode == 0, "there are no user namespaces here")
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [*limited, sys.executable, "-c", LIMITED, str(tmp_path)], cwd=root, capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == [
        f"{number} inotify: no more watches: raise fs.inotify.max_user_watches" for number in (3, 4)
    ]


def test_the_layout_of_events_is_the_header_s(tmp_path: Path) -> None:
    """Against the C header, compiled."""
    needs(shutil.which("gcc") is not None, "there is no gcc")
    program = tmp_path / "layout.c"
    program.write_text(
        "#include <stddef.h>\n#include <stdio.h>\n#include <sys/inotify.h>\n"
        'int main(void) { printf("%zu %zu %zu %zu %zu\\n", offsetof(struct inotify_event, wd), '
        "offsetof(struct inotify_event, mask), offsetof(struct inotify_event, cookie), "
        "offsetof(struct inotify_event, len), offsetof(struct inotify_event, name));\n"
        + "".join(f'printf("%s %x\\n", "{bit.name}", (unsigned) IN_{_c_name(bit)});\n' for bit in What)
        + "return 0; }\n"
    )
    subprocess.run(["gcc", "-o", tmp_path / "layout", program], check=True)
    offsets, *bits = subprocess.check_output([tmp_path / "layout"], text=True).splitlines()
    assert offsets == "0 4 8 12 16"
    assert bits == [f"{bit.name} {bit.value:x}" for bit in What]
    assert struct.calcsize("=iIII") == 16


def _c_name(bit: What) -> str:
    return "Q_OVERFLOW" if bit is What.OVERFLOW else str(bit.name)
