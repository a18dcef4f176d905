"""Programs that watch files: an edit in one container is noticed by them in another, however an editor saves."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.inotify import InotifyObserver

from tests.integration.conftest import busybox_rootfs
from tests.integration.inotify import DEADLINE_S
from tests.integration.sharing import Sharing, sharing
from tests.support import ROOT, needs

NODE_MODULES = ROOT / ".venv/node/node_modules"


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Sharing]:
    with sharing(tmp_path) as shared:
        yield shared


def in_place(path: Path, content: str) -> None:
    """As nano and most IDEs save."""
    path.write_text(content)


def write_and_rename(path: Path, content: str) -> None:
    """As gedit, and IDEs with `safe write`, save."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(content)
    new.rename(path)


def backup(path: Path, content: str) -> None:
    """As vim saves: the old file is moved away, and removed in the end."""
    old = path.with_name(f"{path.name}~")
    path.rename(old)
    path.write_text(content)
    old.unlink()


STYLES = [in_place, write_and_rename, backup]


class Lines:
    """A program, and the lines that it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))

    def until(self, last: str, *, timeout_s: float = DEADLINE_S) -> list[str]:
        """Return lines up to one, which must come."""
        found: list[str] = []
        end_s = time.monotonic() + timeout_s
        while not found or found[-1] != last:
            try:
                found.append(self._lines.get(timeout=max(end_s - time.monotonic(), 0.001)))
            except queue.Empty:
                raise AssertionError(f"{last!r} did not come after {found}") from None
        return found

    def waits(self, timeout_s: float) -> str:
        """Return the next line, or an empty one if none comes soon."""
        try:
            return self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return ""

    def close(self) -> None:
        """End the program."""
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


def program(*command: str | Path, environ: Mapping[str, str] | None = None) -> Lines:
    """Start a program."""
    out, err = subprocess.PIPE, subprocess.STDOUT
    return Lines(subprocess.Popen(command, stdout=out, stderr=err, text=True, env=environ))


def probe(place: Path, noticed: Callable[[], object]) -> None:
    """Change something until it is noticed."""
    end_s = time.monotonic() + DEADLINE_S
    number = 0
    while not noticed():
        assert time.monotonic() < end_s, "the watch was not found"
        number += 1
        (place / f"probe-{number}").mkdir()


def test_inotifywait(shared: Sharing, tmp_path: Path) -> None:
    needs(shutil.which("inotifywait") is not None, "inotifywait is not installed (Debian package inotify-tools)")
    bare = tmp_path / "bare"
    for place in (bare, shared.host):
        (place / "sub").mkdir(parents=True)
    watch = ["inotifywait", "-q", "-m", "-r", "--format", "%e %w%f"]
    for event in ("modify", "attrib", "close_write", "move", "create", "delete"):
        watch += ["-e", event]
    with ExitStack() as stack:
        told = []
        for watched, changed in ((bare, bare), (shared.two, shared.one)):
            lines = stack.enter_context(closing(program(*watch, watched)))
            for place in (changed, changed / "sub"):
                probe(place, lambda lines=lines: lines.waits(0.05))  # type: ignore[misc]
            for style in STYLES:
                for name in ("file", "sub/file"):
                    style(changed / name, style.__name__)
            (changed / "sub/file").rename(changed / "moved")
            (changed / "sub").rename(changed / "new")
            (changed / "new/in-it").write_text("")
            (changed / "end").mkdir()
            heard = lines.until(f"CREATE,ISDIR {watched}/end")
            told.append([line.replace(str(watched), "") for line in heard if "probe-" not in line])
        assert told[1] == told[0]


class Handler(FileSystemEventHandler):
    """Keeps what it is told."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self.events: queue.Queue[tuple[str, str, str]] = queue.Queue()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Keep all but what tells of reading."""
        if event.event_type not in ("opened", "closed_no_write"):
            places = [os.fsdecode(place) for place in (event.src_path, event.dest_path)]
            self.events.put((event.event_type, *(place.replace(str(self._base), "") for place in places)))

    def until(self, name: str) -> list[tuple[str, str, str]]:
        """Return events up to the making of a directory."""
        found: list[tuple[str, str, str]] = []
        while not found or found[-1][:2] != ("created", name):
            found.append(self.events.get(timeout=DEADLINE_S))
        return [event for event in found if "probe-" not in event[1] and event[0] != "modified"]


@contextmanager
def observed(place: Path) -> Iterator[Handler]:
    """Watch a tree by watchdog."""
    handler, observer = Handler(place), InotifyObserver()
    observer.schedule(handler, str(place), recursive=True)
    observer.start()
    try:
        yield handler
    finally:
        observer.stop()
        observer.join()


def test_watchdog(shared: Sharing, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    told = []
    for watched, changed in ((bare, bare), (shared.two, shared.one)):
        with observed(watched) as handler:
            probe(changed, lambda handler=handler: _any(handler.events))  # type: ignore[misc]
            for style in STYLES:
                style(changed / "file", style.__name__)
            (changed / "end").mkdir()
            told.append(handler.until("/end"))
    assert told[1] == told[0]


@pytest.mark.filterwarnings("ignore:Callback with id")  # where it finds a directory before it hears of it
def test_watchdog_follows_new_directories(shared: Sharing) -> None:
    with observed(shared.two) as handler:
        probe(shared.one, lambda: _any(handler.events))
        (shared.one / "a/b").mkdir(parents=True)
        (shared.one / "a/b/file").write_text("")
        found: list[tuple[str, str, str]] = []
        while ("created", "/a/b/file", "") not in found:
            found.append(handler.events.get(timeout=DEADLINE_S))


def _any(events: queue.Queue[tuple[str, str, str]]) -> bool:
    try:
        events.get(timeout=0.05)
    except queue.Empty:
        return False
    return True


def test_tail_follows_a_log_that_is_rotated(shared: Sharing) -> None:
    log = shared.one / "log"
    log.write_text("line 0\n")
    # It does not use inotify on FUSE: how often it looks is its own affair.
    with closing(program("tail", "-n", "+1", "-F", "-s", "0.02", shared.two / "log")) as lines:
        expected = ["line 0"]
        lines.until("line 0")
        for number in range(1, 30):
            if number % 10 == 0:
                log.rename(shared.one / f"log.{number}")
            with log.open("a") as file:
                file.write(f"line {number}\n")
            found = [line for line in lines.until(f"line {number}") if line.startswith("line ")]
            expected += found
        assert expected == [f"line {number}" for number in range(30)]


CHOKIDAR = """
const watcher = require("chokidar").watch(process.argv[1], { ignoreInitial: true, atomic: false });
const base = process.argv[1];
for (const kind of ["add", "change", "unlink", "addDir", "unlinkDir"])
  watcher.on(kind, (path) => console.log(kind, path.replace(base, "")));
watcher.on("ready", () => console.log("ready"));
"""


@pytest.mark.parametrize("style", STYLES)
def test_chokidar(shared: Sharing, style: Callable[[Path, str], None]) -> None:
    needs(shutil.which("node") is not None, "Node.js is not installed")
    needs((NODE_MODULES / "chokidar").is_dir(), "chokidar is not installed: scripts/setup tests")
    (shared.host / "file").write_text("first")
    environ = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
    with closing(program("node", "-e", CHOKIDAR, shared.two, environ=environ)) as lines:
        lines.until("ready")
        probe(shared.one, lambda: lines.waits(0.1))
        style(shared.one / "file", "second")
        noticed = []
        while not {"change /file", "add /file"} & set(noticed):
            noticed.append(lines.waits(DEADLINE_S))
            assert noticed[-1], noticed
        (shared.one / "new").mkdir()
        lines.until("addDir /new")
        (shared.one / "new/file").write_text("x")
        lines.until("add /new/file")


class Box:
    """A container with the shared volume, busybox and the host's programs."""

    def __init__(self, shared: Sharing) -> None:
        shared.client.api.import_image_from_data(busybox_rootfs(), repository="box", tag="1")
        self._command = [sys.executable, "-m", "volfuse.cli.main", "run", "--rm", "--init", "--volumes-from", "one"]
        self._command += ["-v", "/usr:/usr:ro"]
        for name in ("/lib", "/lib64"):
            if os.path.isdir(name):
                self._command += ["-v", f"{os.path.realpath(name)}:{name}:ro"]
        self._environ = {**os.environ, "VOLFUSE_SOCKET": str(shared.daemon.socket), "VOLFUSE_AUTOSTART": "0"}

    def run(self, *command: str) -> Lines:
        """Start a program."""
        return program(*self._command, "box:1", *command, environ=self._environ)


def test_an_edit_in_one_container_reloads_a_program_in_another(shared: Sharing) -> None:
    needs(shutil.which("inotifywait") is not None, "inotifywait is not installed (Debian package inotify-tools)")
    (shared.host / "app").write_text("")
    watch = "/usr/bin/inotifywait -q -m -e close_write -e moved_to --include /app$ /v"
    with closing(Box(shared).run("sh", "-c", f"{watch} | while read -r event; do sh /v/app; done")) as lines:
        while not lines.waits(0.2):  # until the program has started and its watch has been found
            (shared.one / "app").write_text("echo started")
        for number, style in enumerate(STYLES):
            style(shared.one / "app", f"echo version {number}")
            lines.until(f"version {number}")


def test_node_reloads_a_program_that_is_edited_in_another_container(shared: Sharing) -> None:
    """Node watches the file and not the directory; so it does not see a file that takes another's place twice."""
    node = os.path.realpath(shutil.which("node") or "")
    needs(node.startswith("/usr/"), "Node.js is not installed below /usr")
    (shared.host / "app.js").write_text("console.log('version 0')")
    with closing(Box(shared).run(node, "--watch", "--watch-preserve-output", "/v/app.js")) as lines:
        lines.until("version 0")
        for number, style in enumerate((in_place, in_place, write_and_rename), 1):
            lines.until("Completed running '/v/app.js'")
            style(shared.one / "app.js", f"console.log('version {number}')")
            lines.until(f"version {number}")
