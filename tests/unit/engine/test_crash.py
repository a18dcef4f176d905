"""A kill at any point of an operation leaves the old state or the new one, and the next start heals.

The operation runs in a forked child that kills itself at the n-th step (a system call that Python audits, or an SQL
statement), for every n until it gets through.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.unit.engine.support import open_engine, request

STEPS = ("os.", "open", "shutil.")


def setup_image(root: Path) -> None:
    engine, store, _, _ = open_engine(root)
    engine.images.import_(io.BytesIO(), reference="seed", message="", changes=[])
    store.close()


def setup_container(root: Path) -> None:
    setup_image(root)
    engine, store, _, _ = open_engine(root, prefix=2)
    engine.volumes.create("empty", options={"coherence": "lease"})
    engine.containers.create(request(binds=["named:/named"]), name="c1")
    store.close()


def create(engine) -> None:
    binds = ["empty:/data:coherence=exact", "fresh:/etc", "named:/n"]
    engine.containers.create(request(binds=binds, volumes=["/anon"]), name="c2")


def remove(engine) -> None:
    engine.containers.remove("c1", volumes=True)


def rename(engine) -> None:
    engine.containers.rename("c1", "c9")


def create_volume(engine) -> None:
    engine.volumes.create("v9", labels={"a": "b"}, options={"coherence": "lease"})


def remove_volume(engine) -> None:
    engine.volumes.remove("empty", force=False)


def import_image(engine) -> None:
    engine.images.import_(io.BytesIO(), reference="seed", message="", changes=[])


def remove_image(engine) -> None:
    engine.images.remove("seed", force=False)


def die_at(root: Path, operation, step: int) -> bool:
    """Run an operation in a child that dies at a step; tell whether it got through."""
    pid = os.fork()
    if pid == 0:
        try:
            engine, store, _, _ = open_engine(root, prefix=3)
            left = step

            def tick(*_) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            store._db.set_trace_callback(tick)
            sys.addaudithook(lambda event, _: tick() if event.startswith(STEPS) else None)
            operation(engine)
        except BaseException:  # noqa: BLE001 - the child must not return to pytest
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the operation failed in the child"
    return not os.WIFSIGNALED(status)


def tree(path: Path) -> dict[str, str]:
    """Everything below a directory: kind, mode and content."""
    found = {}
    for entry in sorted(path.rglob("*")):
        kind = "link" if entry.is_symlink() else "dir" if entry.is_dir() else entry.read_text()
        found[str(entry.relative_to(path))] = f"{entry.lstat().st_mode:o} {kind}"
    return found


def state(root: Path) -> dict:
    """What a start finds: every row, and every directory that belongs to the state."""
    _, store, table, _ = open_engine(root, prefix=4)
    try:
        assert list((root / "staging").iterdir()) == []
        assert store.owed() == []
        volumes = {v.name: v for v in store.volumes()}
        containers = {c.name: c for c in store.containers()}
        assert {p.name for p in (root / "volumes").iterdir()} == set(volumes)
        assert {p.name for p in (root / "containers").iterdir()} == {c.id for c in containers.values()}
        assert {f"sha256:{p.name}" for p in (root / "images").iterdir()} == {i.id for i in store.images()}
        assert set(table.plans) == set(containers)
        return {
            "volumes": {name: (v.labels, v.options, tree(root / "volumes" / name)) for name, v in volumes.items()},
            "containers": {
                name: ([(m.destination, m.name, m.coherence) for m in c.mounts], tree(root / "containers" / c.id))
                for name, c in containers.items()
            },
            "images": {i.id: tree(root / "images" / i.id[7:]) for i in store.images()},
            "tags": store.tags(),
        }
    finally:
        store.close()


OPERATIONS = [
    (setup_container, create),
    (setup_container, remove),
    (setup_container, rename),
    (setup_container, create_volume),
    (setup_container, remove_volume),
    (lambda root: None, import_image),
    (setup_image, remove_image),
]


@pytest.mark.parametrize(("prepare", "operation"), OPERATIONS, ids=lambda f: f.__name__)
def test_kill_at_any_step_leaves_the_old_or_the_new_state(tmp_path, prepare, operation):
    def fresh(name: str) -> Path:
        root = tmp_path / name
        prepare(root)
        return root

    old = state(fresh("old"))
    whole = fresh("whole")
    assert die_at(whole, operation, 0)
    new = state(whole)
    assert old != new
    seen = []
    for step in range(1, 2000):
        root = fresh(f"r{step}")
        through = die_at(root, operation, step)
        found = state(root)
        assert found in (old, new), f"killed at step {step}"
        if through:
            assert found == new
            break
        seen.append(found == new)
    assert seen == sorted(seen), "once the change is in force it stays so"
    assert True in seen or operation is rename, "a kill after the commit was tried"
    assert False in seen, "a kill before the commit was tried"
