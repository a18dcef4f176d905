"""The route of the change feed, over a real socket."""

from __future__ import annotations

import asyncio
import json
import os
from types import SimpleNamespace

import pytest

from tests.unit.api.fakes import engine_of, serving
from volfuse.core.feed import ChangeKind, Done, Through
from volfuse.engine.changefeed import ChangeFeed
from volfuse.errors import NotFound
from volfuse.fs.viewtable import ViewTable

PATH = "/volfuse/changes"


def missing(name):
    raise NotFound(f"no such thing: {name}")


def entry(path, container="id1", volume="data", time_ns=1, **more):
    return tuple(
        Done(time_ns, ChangeKind.CREATE, Through(container, volume, b"/v/" + volume.encode()), b"", path, **more)
    )


@pytest.fixture
def feed(tmp_path):
    with ChangeFeed(ViewTable(os.stat(tmp_path).st_dev), "run", kept=5) as feed:
        yield feed


@pytest.fixture
def engine(feed):
    containers = SimpleNamespace(get=lambda name: SimpleNamespace(id="id1") if name == "web" else missing(name))
    return engine_of(feed=feed, containers=containers, volumes=SimpleNamespace(get=missing))


def ask(directory, engine, query=None, **headers):
    async def once():
        async with (
            serving(directory, engine) as session,
            session.get(PATH, params=query or {}, headers=headers) as reply,
        ):
            return reply.status, reply.headers, await reply.text()

    return asyncio.run(once())


def paths(text):
    return [json.loads(line)["Path"] for line in text.splitlines()]


def test_what_is_kept(tmp_path, engine, feed):
    feed.add([entry(b"a"), entry(b"b")])
    status, headers, text = ask(tmp_path, engine)
    assert (status, headers["Content-Type"], headers["Volfuse-Cursor"]) == (200, "application/x-ndjson", "run-0")
    assert paths(text) == ["a", "b"]


def test_from_a_cursor_or_a_time_on(tmp_path, engine, feed):
    feed.add(
        [entry(b"a", time_ns=1_000_000_000), entry(b"b", time_ns=2_000_000_000), entry(b"c", time_ns=3_000_000_000)]
    )
    assert paths(ask(tmp_path, engine, {"since": "run-2"})[2]) == ["c"]
    assert paths(ask(tmp_path, engine, {"since": "1.5"})[2]) == ["b", "c"]


def test_what_was_missed_comes_first(tmp_path, engine, feed):
    feed.add([entry(b"%d" % number) for number in range(9)])
    first, *rest = map(json.loads, ask(tmp_path, engine, {"since": "run-1"})[2].splitlines())
    assert first["Missed"] == 3
    assert [change["Path"] for change in rest] == ["4", "5", "6", "7", "8"]
    first, *_ = map(json.loads, ask(tmp_path, engine, {"since": "before-8"})[2].splitlines())
    assert (first["Missed"], first["Reason"]) == (None, "the daemon has been started anew")


def test_selections(tmp_path, engine, feed):
    feed.add([entry(b"a"), entry(b"a/b", container="id2"), entry(b"c", volume="other"), entry(b"d", container="")])
    assert paths(ask(tmp_path, engine, {"volume": "other"})[2]) == ["c"]
    assert paths(ask(tmp_path, engine, {"volume": "/v/other"})[2]) == ["c"]
    assert paths(ask(tmp_path, engine, {"container": "web"})[2]) == ["a", "c"]
    assert paths(ask(tmp_path, engine, {"container": "id2"})[2]) == ["a/b"]
    assert paths(ask(tmp_path, engine, {"path": "/a"})[2]) == ["a", "a/b"]
    assert paths(ask(tmp_path, engine, {"latest": "2"})[2]) == ["c", "d"]


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"volume": "nope"}, 404, "no such thing: nope"),
        ({"container": "nope"}, 404, "no such thing: nope"),
        ({"since": "run-x"}, 400, "bad cursor: 'run-x'"),
        ({"since": "soon"}, 400, "bad parameter since: 'soon' is not a Unix time"),
        ({"latest": "many"}, 400, "bad parameter latest: 'many' is not a whole number"),
    ],
)
def test_wrong_questions(tmp_path, engine, query, status, message):
    found, _, text = ask(tmp_path, engine, query)
    assert (found, json.loads(text)) == (status, {"message": message})


def test_following_goes_on_until_the_daemon_ends(tmp_path, engine, feed):
    feed.add([entry(b"before")])

    async def follow():
        async with serving(tmp_path, engine) as session, session.get(PATH, params={"follow": "1"}) as reply:
            found = []
            for path in (b"a", b"b"):
                feed.add([entry(path)])
                found.append(json.loads(await asyncio.wait_for(reply.content.readline(), 20))["Path"])
            feed.end_readers()
            return found, await asyncio.wait_for(reply.content.read(), 20)

    assert asyncio.run(follow()) == (["a", "b"], b"")


def test_events_are_for_browsers(tmp_path, engine, feed):
    feed.add([entry(b"%d" % number) for number in range(7)])
    query = {"since": "run-1"}
    status, headers, text = ask(tmp_path, engine, query, Accept="text/event-stream")
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")
    missed, first, *_ = text.split("\n\n")
    assert missed.splitlines()[:2] == ["event: missed", "id: run-7"]
    assert first.splitlines()[0] == "id: run-3"
    assert json.loads(first.splitlines()[1].removeprefix("data: "))["Path"] == "2"


def test_a_browser_goes_on_where_it_was(tmp_path, engine, feed):
    feed.add([entry(b"a"), entry(b"b")])
    text = ask(tmp_path, engine, None, **{"Accept": "text/event-stream", "Last-Event-ID": "run-1"})[2]
    assert [line for line in text.splitlines() if line.startswith("id:")] == ["id: run-2"]


def test_a_client_that_does_not_read_is_told_what_it_has_missed(tmp_path, engine, feed):
    """What waits for a client is bounded, and nobody else waits for it; it goes on where it can."""
    name, count = b"x" * 1000, 4000

    async def follow():
        async with serving(tmp_path, engine) as session, session.get(PATH, params={"follow": "1"}) as reply:
            for number in range(count):
                feed.add([entry(b"%d-" % number + name)])
                await asyncio.sleep(0)
            feed.add([entry(b"end")])
            numbers, missed = [], 0
            while True:
                change = json.loads(await asyncio.wait_for(reply.content.readline(), 20))
                missed += change.get("Missed", 0)
                if change.get("Path") == "end":
                    return numbers, missed
                if "Path" in change:
                    numbers.append(int(change["Path"].partition("-")[0]))

    numbers, missed = asyncio.run(follow())
    assert numbers == sorted(set(numbers))
    assert len(numbers) + missed == count
    assert missed > 0
