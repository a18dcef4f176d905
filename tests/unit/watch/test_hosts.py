"""The sources that are watched are those in use that somebody follows; what cannot be watched is looked at instead."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import needs
from volfuse.core.echoes import Echoes
from volfuse.core.feed import Change, Cursor, Selection
from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.engine.attribution import Attribution
from volfuse.engine.changefeed import ChangeFeed
from volfuse.fs.viewtable import ViewTable
from volfuse.watch.directories import DirectoryWatcher
from volfuse.watch.hosts import Hosts

DEADLINE_S = 20.0


class Host:
    """A table of views with watched sources, but without a mount."""

    def __init__(self, base: Path, directories: int = 1000) -> None:
        self.base = base
        self.table = ViewTable(os.stat(base).st_dev)
        self.feed = ChangeFeed(self.table, "run")
        attribution = Attribution(self.feed, Echoes(), lambda: None, dict)
        self.watcher = DirectoryWatcher(attribution)
        self.hosts = Hosts(self.table, self.feed, self.watcher, attribution, directories, linger_s=0)
        self._place = Cursor("run", 0)

    def source(self, name: str) -> Path:
        path = self.base / name
        path.mkdir(exist_ok=True)
        return path

    def attach(self, name: str, *volumes: str) -> None:
        private = PlannedMount((), os.fsencode(self.source(f"root-{name}")), sharing=Sharing.PRIVATE)
        shared = [PlannedMount((v.encode(),), os.fsencode(self.source(v)), volume=v) for v in volumes]
        self.table.attach(ViewPlan(f"id of {name}", name, (private, *shared)))

    def until(self, path: str) -> list[Change]:
        """Return what came up to a change of a path, which must come."""
        found: list[Change] = []
        deadline = time.monotonic() + DEADLINE_S
        while not any(change.done.path == path.encode() for change in found):
            assert time.monotonic() < deadline, found
            _, changes, self._place = self.feed.after(self._place, 1000)
            found += changes
            time.sleep(0.001)
        return found

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    def __enter__(self) -> Host:
        self.feed.__enter__()
        self.hosts.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for view in self.table.views():
            self.table.detach(view.name)
        self.hosts.__exit__()
        self.watcher.close()
        self.feed.close()


def nothing() -> None:
    """What a reader does that is not to be woken."""


@pytest.fixture
def host(tmp_path: Path, open_descriptors: None) -> Iterator[Host]:
    with Host(tmp_path) as host:
        yield host


def test_nothing_is_watched_until_somebody_follows(host: Host) -> None:
    host.attach("one", "data")
    assert len(host.watcher) == 0
    with host.feed.reading(nothing, Selection()):
        assert len(host.watcher) == 1
        (host.source("data") / "a").mkdir()
        (change,) = host.until("a")
        assert (change.origin, change.done.kind, change.done.through.volume) == ("host", "mkdir", "data")
    host.wait(lambda: len(host.watcher) == 0)


def test_one_volume_is_watched_where_one_is_wanted(host: Host) -> None:
    host.attach("one", "data", "other")
    with host.feed.reading(nothing, Selection(volume="other")):
        assert len(host.watcher) == 1
        (host.source("data") / "a").mkdir()
        (host.source("other") / "b").mkdir()
        assert [change.done.path for change in host.until("b")] == [b"b"]


def test_what_one_container_does_needs_no_watching(host: Host) -> None:
    host.attach("one", "data")
    with host.feed.reading(nothing, Selection(container="id of one")):
        assert len(host.watcher) == 0


def test_sources_come_and_go_with_containers(host: Host) -> None:
    with host.feed.reading(nothing, Selection()):
        host.attach("one", "data")
        host.attach("two", "data", "more")
        host.wait(lambda: len(host.watcher) == 2)
        (host.source("more") / "a").mkdir()
        host.until("a")
        host.table.detach("two")
        host.wait(lambda: len(host.watcher) == 1)


def test_a_source_with_too_many_directories_is_looked_at_instead(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Host(tmp_path, directories=2) as host:
        for name in "abc":
            (host.source("data") / name).mkdir()
        host.attach("one", "data")
        with host.feed.reading(nothing, Selection()):
            assert host.hosts.refusals() == ["volume data: it has too many directories"]
            assert "volume data is looked at now and then" in caplog.text
            assert len(host.watcher) == 0
            (host.source("data") / "a" / "new").touch()
            assert [change.done.path for change in host.until("a/new")] == [b"a/new"]


def test_a_source_that_outgrows_its_limit_is_said_to_have_lost_something(tmp_path: Path) -> None:
    with Host(tmp_path, directories=2) as host:
        host.attach("one", "data")
        with host.feed.reading(nothing, Selection()):
            for name in "abcd":
                (host.source("data") / name).mkdir()
            lost = [change for change in host.until("") if change.done.kind == "lost"]
            assert [change.done.detail for change in lost] == [b"it has too many directories"]
            host.wait(lambda: bool(host.hosts.refusals()))


def test_lost_events_are_said_and_watching_goes_on(host: Host) -> None:
    host.attach("one", "data")
    with host.feed.reading(nothing, Selection()):
        host.watcher._lost("too many at once")
        (change,) = host.until("")
        assert (change.done.kind, change.done.detail) == ("lost", b"too many at once")
        host.wait(lambda: len(host.watcher) == 1)
        (host.source("data") / "a").mkdir()
        host.until("a")


LIMITED = """
import os, sys
from pathlib import Path
from tests.unit.watch.test_hosts import Host, nothing
from volfuse.core.feed import Selection
with open("/proc/sys/user/max_inotify_watches", "w") as file:
    file.write("3")
with Host(Path(sys.argv[1])) as host:
    for name in "abc":
        (host.source("many") / name).mkdir()
    host.attach("one", "few", "many")
    with host.feed.reading(nothing, Selection()):
        print(host.hosts.refusals())
        (host.source("many") / "a" / "new").touch()
        print([change.done.kind.value for change in host.until("a/new")])
        (host.source("few") / "more").mkdir()
        host.until("more")
"""


def test_where_watches_run_out_that_source_is_looked_at_and_no_other(tmp_path: Path) -> None:
    """The limit is that of a user namespace of the test's own."""
    limited = ["unshare", "--user", "--map-root-user"]
    needs(subprocess.run([*limited, "true"], check=False).returncode == 0, "there are no user namespaces here")
    ran = subprocess.run(
        [*limited, sys.executable, "-c", LIMITED, str(tmp_path)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "['volume many: inotify: no more watches: raise fs.inotify.max_user_watches']", "['create']",
    ]  # fmt: skip
