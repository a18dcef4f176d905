"""A view made of directories, used without any transport."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from volfuse.core.viewplan import PlannedMount, Sharing, ViewPlan
from volfuse.fs.descriptors import Caller
from volfuse.fs.view import Place, View
from volfuse.fs.viewtable import ViewTable

__all__ = ["ROOT", "Attach"]

ROOT = Caller(os.getuid(), os.getgid())

Attach = Callable[..., View]


@pytest.fixture
def table(tmp_path: Path) -> Iterator[ViewTable]:
    made = ViewTable(os.stat(tmp_path).st_dev)
    yield made
    for view in made.views():
        made.detach(view.name)


@pytest.fixture
def attach(table: ViewTable, tmp_path: Path) -> Attach:
    """Show a view `name` of a private tree and of mounts given as (destination, source, read-only)."""

    def do(name: str, *mounts: tuple[str, str, bool], tag: int = 0) -> View:
        (tmp_path / f"root-{name}").mkdir(exist_ok=True)
        planned = [
            PlannedMount((), bytes(tmp_path / f"root-{name}"), sharing=Sharing.PRIVATE, inode_tag=tag),
            *(
                PlannedMount(tuple(os.fsencode(destination).split(b"/")), bytes(tmp_path / source), readonly=readonly)
                for destination, source, readonly in mounts
            ),
        ]
        return table.attach(ViewPlan(f"id-{name}", name, tuple(planned)))

    return do


@pytest.fixture
def view(attach: Attach, tmp_path: Path) -> View:
    """`vol` at v, again and (read-only) ro, `other` at missing/deep, a file at etc/cfg."""
    for name in ("vol", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "root-c/etc").mkdir(parents=True)
    (tmp_path / "root-c/etc/cfg").write_bytes(b"hidden")
    (tmp_path / "file").write_bytes(b"bound")
    return attach(
        "c",
        ("v", "vol", False),
        ("again", "vol", False),
        ("ro", "vol", True),
        ("missing/deep", "other", False),
        ("etc/cfg", "file", False),
    )


@pytest.fixture
def at(view: View) -> Callable[[str], Place]:
    return lambda path: view.locate(os.fsencode(path))


@pytest.fixture
def entry(view: View) -> Callable[[str], Place]:
    return lambda path: view.locate_entry(os.fsencode(path))
