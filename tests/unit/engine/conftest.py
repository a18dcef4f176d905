"""An engine on a fresh state root, with the image `seed`."""

from __future__ import annotations

import io

import pytest

from tests.unit.engine.support import open_engine


class Opened:
    """An engine with what its fakes recorded; `reopen` is a start of the daemon after a clean end."""

    def __init__(self, root, runner=None) -> None:
        self.root = root
        self.runner = runner
        self.starts = 0
        self.reopen()
        self.engine.images.import_(io.BytesIO(), reference="seed", message="", changes=[])

    def reopen(self) -> None:
        if self.starts:
            self.store.close()
        self.starts += 1
        self.engine, self.store, self.table, self.binder = open_engine(
            self.root, prefix=self.starts, runner=self.runner
        )

    def data(self, volume: str):
        return self.root / "volumes" / volume / "_data"

    def mount(self, container: str, destination: str):
        (found,) = [m for m in self.engine.containers.get(container).mounts if m.destination == destination]
        return found

    def actions(self) -> list[str]:
        return [f"{e.type} {e.action}" for e in self.engine.events.history(0, 1 << 63)]


@pytest.fixture
def opened(tmp_path):
    found = Opened(tmp_path / "root")
    yield found
    found.store.close()
