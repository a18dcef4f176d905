"""The graph of who shares what: made of the API's answers, laid out, and printed."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support import needs
from volfuse.core.graph.dot import dot_of
from volfuse.core.graph.layout import Box, lay_out
from volfuse.core.graph.sharing import Graph, around, graph_json, graph_of
from volfuse.core.graph.svg import svg_of
from volfuse.core.graph.text import text_of

ANONYMOUS = "8058ed39fbd4a463b9aa24c7a310bffe68ac9856ecdc9dce14f5cb2575aa0a07"
HOSTILE = '/srv/"]; evil [label="</text><script>&amp;\\N\\\n\x1b[2J\u202e'
VISIBLE = '/srv/"]; evil [label="</text><script>&amp;\\N\\\\n\\x1b[2J\\u202e'


def view(name: str, *mounts: tuple[str, str, str, bool], volumes_from: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what the API says of a container whose id begins with its name; mounts: destination, type, label, RW."""
    keys = ("Destination", "Type", "Label", "RW")
    return {
        "Container": name,
        "Id": f"{name}-id",
        "State": "created",
        "VolumesFrom": list(volumes_from),
        "Mounts": [dict(zip(keys, mount, strict=True)) for mount in mounts],
    }


@pytest.fixture
def graph() -> Graph:
    views = [
        view("one", ("/v2", "volume", "data", True), ("/v1", "volume", ANONYMOUS, True), ("/t", "tmpfs", "", True)),
        view("two", ("/v1", "volume", ANONYMOUS, True), ("/v2", "volume", "data", True), volumes_from=("one",)),
        view("lone"),
        view("web", ("/s", "bind", "/srv/site", False), ("/in", "volume", "data", False), volumes_from=("two-i:ro",)),
    ]
    return graph_of(views, ["spare", "data", ANONYMOUS])


def test_what_shares_what(graph: Graph) -> None:
    assert graph_json(graph) == {
        "Containers": [
            {
                "Key": "container:one-id",
                "Id": "one-id",
                "Name": "one",
                "State": "created",
                "Mounts": [
                    {"Destination": "/v1", "Source": f"volume:{ANONYMOUS}", "RW": True},
                    {"Destination": "/v2", "Source": "volume:data", "RW": True},
                ],
                "VolumesFrom": [],
            },
            {
                "Key": "container:two-id",
                "Id": "two-id",
                "Name": "two",
                "State": "created",
                "Mounts": [
                    {"Destination": "/v1", "Source": f"volume:{ANONYMOUS}", "RW": True},
                    {"Destination": "/v2", "Source": "volume:data", "RW": True},
                ],
                "VolumesFrom": ["container:one-id"],
            },
            {
                "Key": "container:lone-id",
                "Id": "lone-id",
                "Name": "lone",
                "State": "created",
                "Mounts": [],
                "VolumesFrom": [],
            },
            {
                "Key": "container:web-id",
                "Id": "web-id",
                "Name": "web",
                "State": "created",
                "Mounts": [
                    {"Destination": "/in", "Source": "volume:data", "RW": False},
                    {"Destination": "/s", "Source": "bind:/srv/site", "RW": False},
                ],
                "VolumesFrom": ["container:two-id"],
            },
        ],
        "Sources": [
            {
                "Key": f"volume:{ANONYMOUS}",
                "Type": "volume",
                "Name": ANONYMOUS,
                "Containers": ["container:one-id", "container:two-id"],
            },
            {
                "Key": "volume:data",
                "Type": "volume",
                "Name": "data",
                "Containers": ["container:one-id", "container:two-id", "container:web-id"],
            },
            {"Key": "volume:spare", "Type": "volume", "Name": "spare", "Containers": []},
            {"Key": "bind:/srv/site", "Type": "bind", "Name": "/srv/site", "Containers": ["container:web-id"]},
        ],
    }


@pytest.mark.parametrize(
    ("spec", "donor"),
    [("one", "one-id"), ("/one", "one-id"), ("one-id", "one-id"), ("one-:ro", "one-id"), ("gone", None)],
)
def test_a_donor_is_found_as_docker_finds_it(spec: str, donor: str | None) -> None:
    found = graph_of([view("one"), view("two", volumes_from=(spec,))], [])
    assert [d.donor for d in found.donations] == ([f"container:{donor}"] if donor else [])


@pytest.mark.parametrize(
    ("key", "containers", "sources"),
    [
        ("container:one-id", "one two web", f"volume:{ANONYMOUS} volume:data"),
        ("container:web-id", "one two web", "volume:data bind:/srv/site"),
        ("container:lone-id", "lone", ""),
        ("bind:/srv/site", "web", "bind:/srv/site"),
        ("volume:spare", "", "volume:spare"),
        ("volume:none", "", ""),
    ],
)
def test_what_has_to_do_with_one(graph: Graph, key: str, containers: str, sources: str) -> None:
    found = around(graph, key)
    assert [container.name for container in found.containers] == containers.split()
    assert [source.key for source in found.sources] == sources.split()
    kept = {source.key for source in found.sources}
    assert {mount.source for container in found.containers for mount in container.mounts} <= kept
    names = {container.key for container in found.containers}
    assert [d for d in graph.donations if {d.taker, d.donor} <= names] == list(found.donations)
    assert lay_out(found).boxes or not (containers or sources)


def test_text(graph: Graph) -> None:
    assert (
        text_of(graph)
        == """\
volume 8058ed39fbd4
├─ one   created   /v1
└─ two   created   /v1

volume data
├─ one   created   /v2
├─ two   created   /v2
└─ web   created   /in (read-only)

volume spare (unused)

bind /srv/site
└─ web   created   /s (read-only)

two --volumes-from one
web --volumes-from two
"""
    )
    assert text_of(graph, trunc=False).splitlines()[0] == f"volume {ANONYMOUS}"


def test_nothing_is_an_empty_text_and_whole_documents() -> None:
    nothing = graph_of([], [])
    assert text_of(nothing) == ""
    assert dot_of(nothing).splitlines()[-1] == "}"
    assert ElementTree.fromstring(svg_of(nothing)).tag.endswith("svg")


def hostile() -> Graph:
    return graph_of([view("one", (HOSTILE, "bind", HOSTILE, True))], [])


def drawn_texts(svg: str) -> set[str]:
    """Return the texts of an SVG, as whoever draws it reads them."""
    root = ElementTree.fromstring(svg)
    return {node.text or "" for node in root.iter() if node.tag.rpartition("}")[2] == "text"}


def test_hostile_names_stay_names_in_text_and_svg() -> None:
    assert text_of(hostile()).splitlines() == [f"bind {VISIBLE}", f"└─ one   created   {VISIBLE}"]
    root = ElementTree.fromstring(svg_of(hostile()))
    assert {node.tag.rpartition("}")[2] for node in root.iter()} == {
        "svg", "title", "style", "path", "g", "rect", "text",
    }  # fmt: skip
    assert VISIBLE in {node.text for node in root.iter() if node.tag.endswith("title")}


def test_graphviz_reads_every_name_back(graph: Graph) -> None:
    needs(shutil.which("dot") is not None, "Graphviz is not installed (Debian package graphviz)")

    def drawn(text: str) -> set[str]:
        done = subprocess.run(["dot", "-Tsvg"], input=text.encode(), capture_output=True, check=True)
        assert done.stderr.decode() == ""
        # no-break spaces stand for those that XML would merge
        return {found.replace("\N{NO-BREAK SPACE}", " ") for found in drawn_texts(done.stdout.decode())}

    assert drawn(dot_of(graph)) == {
        "one", "two", "lone", "web", "created", "volume", "8058ed39fbd4", "data", "spare", "volume, unused",
        "bind", "/srv/site", "/v1", "/v2", "/in", "/s", "volumes-from",
    }  # fmt: skip
    assert drawn(dot_of(hostile())) == {"one", "created", "bind", VISIBLE}


def many(containers: int, volumes: int) -> Graph:
    """Return containers with three volumes each, and a donor for every fourth."""
    views = [
        view(
            f"c{n}",
            *((f"/v{m}", "volume", f"v{(n * 7 + m * 3) % volumes}", m != 1) for m in range(3)),
            volumes_from=(f"c{n // 2}",) if n % 4 == 1 else (),
        )
        for n in range(containers)
    ]
    return graph_of(views, [f"v{n}" for n in range(volumes)])


@pytest.mark.parametrize("graph", [many(200, 50), many(12, 40), many(3, 3), graph_of([], ["a"])], ids=range(4))
def test_boxes_do_not_overlap_and_lie_in_the_picture(graph: Graph) -> None:
    layout = lay_out(graph)
    assert {box.key for box in layout.boxes} == {n.key for n in (*graph.containers, *graph.sources)}
    for one, other in itertools.combinations(layout.boxes, 2):
        apart = one.x + one.width < other.x or other.x + other.width < one.x
        assert apart or one.y + one.height < other.y or other.y + other.height < one.y, (one, other)
    for box in layout.boxes:
        assert box.x > 0
        assert box.y > 0
        assert box.x + box.width < layout.width
        assert box.y + box.height < layout.height


def test_lines_end_at_their_boxes() -> None:
    layout = lay_out(many(20, 8))
    boxes = {box.key: box for box in layout.boxes}
    assert len(layout.lines) == 20 * 3 + 5
    for line in layout.lines:
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", line.path)]
        begin, end = boxes[line.begin], boxes[line.end]
        assert _touches(begin, *numbers[:2])
        assert _touches(end, *numbers[-2:])
        assert min(numbers) >= -16  # control points may lie outside, what is drawn is a quarter further in


def _touches(box: Box, x: float, y: float) -> bool:
    return x in (box.x, box.x + box.width) and box.y <= y <= box.y + box.height


def test_many_containers_take_little_room_and_sources_lie_along_them() -> None:
    layout = lay_out(many(200, 50))
    assert layout.height < 200 * 34
    ys = sorted(box.y for box in layout.boxes if box.kind == "volume")
    assert ys[0] < layout.height * 0.2
    assert ys[-1] > layout.height * 0.8


def test_a_new_container_moves_no_other_of_another_group() -> None:
    def places(names: str) -> dict[str, float]:
        views = [view(name, ("/v", "volume", name[0], True)) for name in names.split()]
        return {box.key: box.y for box in lay_out(graph_of(views, [])).boxes}

    before, after = places("a1 b1 a2"), places("a1 b1 a2 c1")
    assert before.items() <= after.items()


def test_containers_stay_in_the_order_of_their_creation() -> None:
    layout = lay_out(many(30, 5))
    column = sorted((box.y, box.key) for box in layout.boxes if box.kind == "container")
    assert [key for _, key in column] == [f"container:c{n}-id" for n in range(30)]


def test_long_names_are_cut_where_they_say_least() -> None:
    mounts = ("/x" * 80, "bind", f"/long/{'p' * 80}/end", True), ("/宽" * 30, "volume", "v", True)
    graph = graph_of([view("n" * 80, *mounts)], [])
    boxes = {box.kind: box for box in lay_out(graph).boxes}
    assert boxes["bind"].title.startswith("…p")
    assert boxes["bind"].title.endswith("/end")
    assert re.fullmatch("n+…", boxes["container"].title)
    assert [row.text[-1] for row in boxes["container"].rows] == ["…", "…"]
    assert len(boxes["container"].rows[1].text) < len(boxes["container"].rows[0].text)
