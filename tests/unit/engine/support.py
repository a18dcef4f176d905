"""An engine on a directory, with fakes where a mount or an archive would be needed."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from volfuse.core.ids import ImageId
from volfuse.core.model import Image
from volfuse.core.wire import Config, CreateRequest, HostConfig
from volfuse.engine.changefeed import ChangeFeed
from volfuse.engine.engine import Engine
from volfuse.engine.ports import BuiltImage
from volfuse.fs.changelog import ChangeLog
from volfuse.fs.viewtable import ViewTable
from volfuse.images.privatetree import PrivateTrees
from volfuse.store.sqlite import SqliteStore


class CountingIds:
    """Ids that count: the same run gives the same ids."""

    def __init__(self, prefix: int = 1) -> None:
        self._numbers = itertools.count(1)
        self._prefix = prefix

    def new_id(self) -> str:
        return f"{self._prefix:032x}{next(self._numbers):032x}"


class FixedClock:
    """A clock that moves one second with each look."""

    def __init__(self) -> None:
        self._ns = 1_700_000_000_000_000_000

    def now_ns(self) -> int:
        self._ns += 1_000_000_000
        return self._ns


class RecordingTable:
    """Takes the place of `fs.ViewTable`."""

    def __init__(self) -> None:
        self.plans = {}
        self.changes = ChangeLog()

    def attach(self, plan) -> None:
        for mount in plan.mounts:
            if mount.source_fd >= 0:
                os.close(mount.source_fd)
        self.plans[plan.name] = plan

    def detach(self, name: str) -> None:
        self.plans.pop(name)

    def rename(self, old: str, new: str) -> None:
        self.plans[new] = self.plans.pop(old)


class RecordingBinder:
    """Takes the place of real bind mounts."""

    def __init__(self) -> None:
        self.bound = {}

    def bind(self, view: str, directory: str, *, read_only: bool) -> None:
        self.bound[directory] = (view, read_only)

    def unbind(self, directory: str) -> None:
        self.bound.pop(directory, None)


class TreeBuilder:
    """Makes the same small image of whatever stream it is given."""

    config = Config(volumes={"/data": {}}, working_dir="/work")

    def import_tar(
        self, stream, staging: Path, *, changes, message, created_ns, config=None, author="", created_by=""
    ) -> BuiltImage:
        tree = staging / "image" / "rootfs"
        (tree / "data" / "sub").mkdir(parents=True)
        (tree / "data" / "one").write_text("one\n")
        (tree / "data" / "sub" / "two").write_text("two\n")
        (tree / "etc").mkdir()
        (tree / "etc" / "afile").write_text("plain\n")
        (tree / "lnk").symlink_to("data")
        os.chmod(tree / "data", 0o2775)
        image = Image(id=ImageId("sha256:" + "ab" * 32), created_ns=created_ns, config=self.config, size=12)
        return BuiltImage(image, tree)

    def load(self, stream, staging, progress):
        raise NotImplementedError


def open_engine(
    root: Path, *, prefix: int = 1, runner=None
) -> tuple[Engine, SqliteStore, RecordingTable, RecordingBinder]:
    """Open the engine on a state root, as a start of the daemon does."""
    root.mkdir(exist_ok=True)
    store = SqliteStore(root / "state.db")
    table = RecordingTable() if runner is None else ViewTable(os.stat(root).st_dev)
    binder = RecordingBinder()
    engine = Engine.open(
        root,
        store=store,
        builder=TreeBuilder(),
        trees=PrivateTrees(root, overlay=False),
        table=table,
        feed=ChangeFeed(table, "run"),
        binder=binder,
        views_directory=root / "views",
        clock=FixedClock(),
        ids=CountingIds(prefix),
        runner=runner,
    )
    engine.views.attach_all()
    engine.views.bind_all()
    return engine, store, table, binder


def request(image: str = "seed", *, volumes=None, **host) -> CreateRequest:
    """A create request with these host config fields."""
    return CreateRequest(
        image=image, volumes={path: {} for path in volumes or ()} or None, host_config=HostConfig(**host)
    )
