"""Versions, headers, errors and streams of the application, over a real socket."""

from __future__ import annotations

import asyncio
import json
import threading
from io import BytesIO
from types import SimpleNamespace

import aiohttp
import pytest

from tests.unit.api.fakes import Refusing, engine_of, serving
from volfuse import errors
from volfuse.core.events import Event, EventType

JSON = "application/json"


def get(directory, engine, path, method="GET", **named):
    """Make one request; return status, headers and body."""

    async def once():
        async with serving(directory, engine) as session, session.request(method, path, **named) as reply:
            return reply.status, reply.headers, await reply.read()

    return asyncio.run(once())


@pytest.mark.parametrize("path", ["/_ping", "/v1.51/_ping", "/v1.24/_ping"])
def test_ping_and_the_headers_of_every_reply(tmp_path, path):
    status, headers, body = get(tmp_path, engine_of(), path)
    assert (status, body) == (200, b"OK")
    assert headers["Api-Version"] == "1.51"
    assert headers["Ostype"] == "linux"
    assert headers["Docker-Experimental"] == "false"
    assert headers["Swarm"] == "inactive"
    assert headers["Cache-Control"] == "no-cache, no-store, must-revalidate"


def test_ping_by_head_has_no_body(tmp_path):
    status, headers, body = get(tmp_path, engine_of(), "/_ping", "HEAD")
    assert (status, body, headers["Api-Version"]) == (200, b"", "1.51")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.52", "client version 1.52 is too new. Maximum supported API version is 1.51"),
        (
            "1.23",
            "client version 1.23 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version",
        ),
    ],
)
def test_versions_that_are_not_served(tmp_path, version, message):
    status, headers, body = get(tmp_path, engine_of(), f"/v{version}/info")
    assert (status, json.loads(body)) == (400, {"message": message})
    assert headers["Content-Type"] == "application/json"
    assert headers["Api-Version"] == "1.51"


@pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("DELETE", "/info"), ("GET", "/v1.44/nope/x")])
def test_unknown_routes(tmp_path, method, path):
    status, headers, body = get(tmp_path, engine_of(), path, method)
    assert (status, json.loads(body)) == (404, {"message": "page not found"})
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (errors.InvalidSpec("bad"), 400, "bad"),
        (errors.Forbidden("no"), 403, "no"),
        (errors.NotFound("get x: no such volume"), 404, "get x: no such volume"),
        (errors.InUse("remove x: volume is in use - [c]"), 409, "remove x: volume is in use - [c]"),
        (errors.Internal("source p is not directory"), 500, "source p is not directory"),
        (errors.Unsupported("not here"), 501, "not here"),
        (errors.Unavailable("gone"), 503, "gone"),
        (OSError(28, "No space left on device", "/r/volumes/x"), 500, "/r/volumes/x: No space left on device"),
        (ZeroDivisionError("odd"), 500, "unexpected error: ZeroDivisionError: odd"),
    ],
)
def test_kinds_of_error(tmp_path, error, status, message):
    found, headers, body = get(tmp_path, engine_of(volumes=Refusing(error)), "/volumes/x")
    assert (found, json.loads(body)) == (status, {"message": message})
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1.51/build"),
        ("POST", "/build"),
        ("GET", "/swarm"),
        ("POST", "/swarm/init"),
        ("GET", "/services"),
        ("GET", "/images/search"),
        ("GET", "/images/a/b:c/get"),
        ("GET", "/plugins"),
    ],
)
def test_what_is_not_supported_says_so(tmp_path, method, path):
    status, _, body = get(tmp_path, engine_of(), path, method)
    assert status == 501
    assert "is not supported: volfuse" in json.loads(body)["message"]


def test_a_reason_names_the_route_without_its_version(tmp_path):
    _, _, body = get(tmp_path, engine_of(), "/v1.44/build", "POST")
    assert json.loads(body)["message"].startswith("POST /build is not supported: ")


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"{}", "text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"),
        (b'{"Name": 3}', "application/json", "invalid JSON: Expected `str`, got `int` - at `$.Name`"),
    ],
)
def test_bodies_that_are_refused(tmp_path, body, content_type, message):
    status, _, reply = get(
        tmp_path, engine_of(), "/volumes/create", "POST", data=body, headers={"Content-Type": content_type}
    )
    assert (status, json.loads(reply)["message"]) == (400, message)


def test_a_json_body_that_is_too_long_is_refused(tmp_path):
    body = json.dumps({"Name": "x" * (9 << 20)}).encode()
    status, _, reply = get(
        tmp_path, engine_of(), "/volumes/create", "POST", data=BytesIO(body), headers={"Content-Type": JSON}
    )
    assert status == 413
    assert json.loads(reply)["message"]


@pytest.mark.parametrize("query", ["filters=nope", 'filters={"odd":["x"]}', "since=yesterday", "since=5&until=4"])
def test_bad_parameters_of_events(tmp_path, query):
    status, _, _ = get(tmp_path, engine_of(), f"/events?{query}")
    assert status == 400


def event(number, name="v"):
    return Event(EventType.VOLUME, "create", name, {}, number)


def test_events_come_at_once_filtered_and_end_with_the_log(tmp_path):
    engine = engine_of()

    async def follow():
        async with serving(tmp_path, engine) as session:
            url = '/events?filters={"volume":{"wanted":true}}'
            async with session.get(url) as reply:  # the head is here before any event
                assert reply.headers["Transfer-Encoding"] == "chunked"
                assert reply.headers["Content-Type"] == "application/json"
                engine.events.publish(event(1, "other"))
                engine.events.publish(event(2, "wanted"))
                first = json.loads(await reply.content.readline())
                engine.events.close()
                return first, await reply.content.read()

    first, rest = asyncio.run(follow())
    assert first["Actor"]["ID"] == "wanted"
    assert rest == b""


def test_events_of_the_past_are_replayed_and_the_stream_ends(tmp_path):
    engine = engine_of()
    for number in (1, 2, 3):
        engine.events.publish(event(number * 1_000_000_000))
    _, _, body = get(tmp_path, engine, "/events?since=2&until=3")
    assert [json.loads(line)["time"] for line in body.splitlines()] == [2, 3]
    _, _, body = get(tmp_path, engine, "/events?until=1.000000001")
    assert [json.loads(line)["time"] for line in body.splitlines()] == [1]


def test_a_client_that_leaves_ends_its_subscription(tmp_path):
    engine = engine_of()
    closed = threading.Event()
    subscribe = engine.events.subscribe

    def watched(*arguments, **named):
        subscription = subscribe(*arguments, **named)
        close = subscription.close
        subscription.close = lambda: (close(), closed.set())
        return subscription

    engine.events.subscribe = watched

    async def leave():
        async with serving(tmp_path, engine) as session:
            async with session.get("/events") as reply:
                reply.close()
            assert await asyncio.to_thread(closed.wait, 10)

    asyncio.run(leave())


class Archives:
    """Counts what it is sent; sends what it is told."""

    def __init__(self, chunks=()):
        self.chunks = chunks
        self.received = 0
        self.failure = None
        self.began = threading.Event()
        self.ended = threading.Event()

    def put(self, container, path, stream, *, no_overwrite_dir_non_dir, copy_uid_gid):
        self.began.set()
        try:
            while block := stream.read(65536):
                self.received += len(block)
        except OSError as exc:
            self.failure = exc
            raise
        finally:
            self.ended.set()

    def get(self, container, path):
        stat = SimpleNamespace(name="f", size=1, mode=0o100644, mtime_ns=0, link_target="")
        return stat, iter(self.chunks)


def test_a_long_body_reaches_the_worker_whole(tmp_path):
    archive = Archives()
    size = 64 << 20

    async def blocks():
        for _ in range(size >> 20):
            yield bytes(1 << 20)

    status, _, _ = get(tmp_path, engine_of(archive=archive), "/containers/c/archive?path=/x", "PUT", data=blocks())
    assert (status, archive.received) == (200, size)


def test_a_client_that_leaves_in_the_middle_of_a_body_ends_the_worker(tmp_path):
    archive = Archives()

    async def leave():
        async with serving(tmp_path, engine_of(archive=archive)) as session:
            _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
            writer.write(b"PUT /containers/c/archive?path=/x HTTP/1.1\r\nHost: d\r\nContent-Length: 99999\r\n\r\nabc")
            await writer.drain()
            writer.close()
            assert await asyncio.to_thread(archive.ended.wait, 10)
            async with session.get("/_ping") as reply:
                assert reply.status == 200

    asyncio.run(leave())
    assert isinstance(archive.failure, ConnectionError)


def test_an_upload_under_way_does_not_hold_up_the_end(tmp_path):
    archive = Archives()

    async def end():
        async with serving(tmp_path, engine_of(archive=archive), grace_s=0.1):
            _, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
            writer.write(b"PUT /containers/c/archive?path=/x HTTP/1.1\r\nHost: d\r\nContent-Length: 99999\r\n\r\nabc")
            await writer.drain()
            assert await asyncio.to_thread(archive.began.wait, 10)
        writer.close()

    asyncio.run(end())
    assert archive.ended.is_set()
    assert isinstance(archive.failure, ConnectionError)


def test_an_archive_is_streamed_with_its_stat(tmp_path):
    chunks = [b"a" * 100_000] * 50
    status, headers, body = get(tmp_path, engine_of(archive=Archives(chunks)), "/containers/c/archive?path=/f")
    assert (status, body) == (200, b"".join(chunks))
    assert headers["Content-Type"] == "application/x-tar"
    assert headers["X-Docker-Container-Path-Stat"]


def test_an_archive_that_fails_midway_is_not_taken_for_a_whole_one(tmp_path):
    def broken():
        yield b"a" * 100_000
        raise OSError(5, "Input/output error")

    with pytest.raises(aiohttp.ClientPayloadError):
        get(tmp_path, engine_of(archive=Archives(broken())), "/containers/c/archive?path=/f")


class Loading:
    """Images that load as told."""

    def __init__(self, outcome):
        self.outcome = outcome

    def load(self, stream, progress):
        progress(len(stream.read()))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def test_load_reports_each_image(tmp_path):
    engine = engine_of(images=Loading(["m:latest", "sha256:aa"]))
    status, headers, body = get(tmp_path, engine, "/images/load?quiet=1", "POST", data=b"tar")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert [json.loads(line) for line in body.splitlines()] == [
        {"stream": "Loaded image: m:latest\n"},
        {"stream": "Loaded image ID: sha256:aa\n"},
    ]


def test_a_failed_load_says_so_in_the_stream(tmp_path):
    engine = engine_of(images=Loading(errors.InvalidSpec("no archive")))
    _, _, body = get(tmp_path, engine, "/images/load?quiet=1", "POST", data=b"tar")
    assert json.loads(body) == {"errorDetail": {"message": "no archive"}, "error": "no archive"}


def test_pulling_is_refused_with_a_reason(tmp_path):
    status, _, body = get(tmp_path, engine_of(), "/images/create?fromImage=debian&tag=12", "POST")
    assert status == 404
    assert "debian:12" in json.loads(body)["message"]
