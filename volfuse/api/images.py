"""Routes of images."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web

from volfuse.api.decode import boolean, filters_of, required
from volfuse.api.errors import describe
from volfuse.api.render_image import history_json, image_json, image_summary_json
from volfuse.api.replies import json_line, json_reply, start_stream
from volfuse.api.route import Route
from volfuse.api.streams import body_of
from volfuse.api.workers import Workers
from volfuse.core.filters import IMAGE_LIST, IMAGE_PRUNE
from volfuse.engine.images import Images
from volfuse.errors import NotFound, Unsupported, VolfuseError

__all__ = ["ImageRoutes"]


class ImageRoutes:
    """`/images`: import, load, list, inspect, history, tag, remove, prune."""

    def __init__(self, images: Images, workers: Workers) -> None:
        self._images = images
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        yield Route("GET", "/images/json", self.list)
        yield Route("POST", "/images/create", self.create)
        yield Route("POST", "/images/load", self.load)
        yield Route("POST", "/images/prune", self.prune)
        yield Route("GET", "/images/{name:.+}/json", self.inspect)
        yield Route("GET", "/images/{name:.+}/history", self.history)
        yield Route("POST", "/images/{name:.+}/tag", self.tag)
        yield Route("DELETE", "/images/{name:.+}", self.remove)

    async def list(self, request: web.Request) -> web.Response:
        """Serve `GET /images/json`."""
        found = await self._workers.call(
            self._images.list, all=boolean(request, "all"), filters=filters_of(request, IMAGE_LIST)
        )
        return json_reply([image_summary_json(s.image, s.references, s.containers) for s in found])

    async def inspect(self, request: web.Request) -> web.Response:
        """Serve `GET /images/I/json`."""
        image = await self._workers.call(self._images.get, request.match_info["name"])
        return json_reply(image_json(image, await self._workers.call(self._images.references, image)))

    async def history(self, request: web.Request) -> web.Response:
        """Serve `GET /images/I/history`."""
        image = await self._workers.call(self._images.get, request.match_info["name"])
        return json_reply(history_json(image, await self._workers.call(self._images.references, image)))

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Serve `POST /images/create`: import an archive; pulling is refused."""
        if source := request.query.get("fromImage", ""):
            name = _reference(source, request.query.get("tag", ""))
            raise NotFound(
                f"pull access denied for {name}, repository does not exist here: volfuse does not pull from "
                "registries; bring the image in with `import` or `load`"
            )
        if request.query.get("fromSrc", "-") != "-":
            raise Unsupported("import from a URL is not supported: download the archive and import the file")
        return await self._import(request)

    async def _import(self, request: web.Request) -> web.StreamResponse:
        image = await self._workers.transfer(
            self._images.import_,
            body_of(request),
            reference=_reference(request.query.get("repo", ""), request.query.get("tag", "")),
            message=request.query.get("message", ""),
            changes=request.query.getall("changes", []),
        )
        response = await start_stream(request)
        await response.write(json_line({"status": image.id}))
        await response.write_eof()
        return response

    async def load(self, request: web.Request) -> web.StreamResponse:
        """Serve `POST /images/load`: a stream of progress, then a line for each image."""
        progress = _Progress(asyncio.get_running_loop())
        quiet = boolean(request, "quiet")
        loading = asyncio.ensure_future(self._workers.transfer(self._images.load, body_of(request), progress.tell))
        try:
            response = await start_stream(request)
            while not loading.done():
                await progress.wait(loading)
                if not quiet and not loading.done():
                    await response.write(json_line(progress.message()))
            for line in _outcome(loading):
                await response.write(json_line(line))
        finally:
            loading.cancel()
            await asyncio.wait([loading])
        await response.write_eof()
        return response

    async def tag(self, request: web.Request) -> web.Response:
        """Serve `POST /images/I/tag`."""
        name, repo = request.match_info["name"], required(request, "repo")
        await self._workers.call(self._images.tag, name, repo, request.query.get("tag", ""))
        return web.Response(status=201)

    async def remove(self, request: web.Request) -> web.Response:
        """Serve `DELETE /images/I`."""
        report = await self._workers.call(
            self._images.remove,
            request.match_info["name"],
            force=boolean(request, "force"),
            prune=not boolean(request, "noprune"),
        )
        return json_reply(report)

    async def prune(self, request: web.Request) -> web.Response:
        """Serve `POST /images/prune`."""
        report, reclaimed = await self._workers.call(self._images.prune, filters_of(request, IMAGE_PRUNE))
        return json_reply({"ImagesDeleted": report, "SpaceReclaimed": reclaimed})


class _Progress:
    """Hands the newest count of bytes from a worker thread to the event loop; older ones are skipped."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._news = asyncio.Event()
        self._bytes = 0

    def tell(self, count: int) -> None:
        """Note how many bytes were read (worker thread)."""
        self._bytes = count
        self._loop.call_soon_threadsafe(self._news.set)

    async def wait(self, work: asyncio.Future[list[str]]) -> None:
        """Wait for news, or for the end of the work."""
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait((news, work), return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        self._news.clear()

    def message(self) -> dict[str, object]:
        """Return the line that shows the progress."""
        return {"status": "Loading", "id": "archive", "progressDetail": {"current": self._bytes}}


def _outcome(loading: asyncio.Future[list[str]]) -> list[dict[str, object]]:
    """Return the last lines of a load; the status is already sent, so an error is a line too."""
    try:
        references = loading.result()
    except (VolfuseError, OSError) as exc:
        _, message = describe(exc)
        return [{"errorDetail": {"message": message}, "error": message}]
    return [{"stream": f"Loaded image{' ID' if _is_id(r) else ''}: {r}\n"} for r in references]


def _is_id(reference: str) -> bool:
    return reference.startswith("sha256:")


def _reference(repo: str, tag: str) -> str:
    """Join what a query splits; the tag may be a digest."""
    if not repo or not tag:
        return repo
    return f"{repo}@{tag}" if ":" in tag else f"{repo}:{tag}"
