"""Files of a container's view: the routes of `docker cp`, as tar archives, and directories to look at."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from volfuse.api.decode import boolean, required
from volfuse.api.render_text import rfc3339_nano
from volfuse.api.replies import json_reply
from volfuse.api.route import Route
from volfuse.api.streams import body_of, send_chunks
from volfuse.api.workers import Workers
from volfuse.core.exacttext import text_fields
from volfuse.engine.archive import Archive, PathStat
from volfuse.engine.listing import Listed

__all__ = ["ArchiveRoutes", "go_file_mode", "path_stat_header"]

_HEADER = "X-Docker-Container-Path-Stat"

_GO_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


class ArchiveRoutes:
    """`/containers/C/archive`: look, copy out, copy in."""

    def __init__(self, archive: Archive, workers: Workers) -> None:
        self._archive = archive
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        yield Route("HEAD", "/containers/{name}/archive", self.stat)
        yield Route("GET", "/containers/{name}/archive", self.get)
        yield Route("PUT", "/containers/{name}/archive", self.put)
        yield Route("GET", "/volfuse/files", self.files)

    async def stat(self, request: web.Request) -> web.Response:
        """Serve `HEAD /containers/C/archive`."""
        found = await self._workers.call(self._archive.stat, request.match_info["name"], required(request, "path"))
        return web.Response(headers={_HEADER: path_stat_header(found)})

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Serve `GET /containers/C/archive`."""
        found, chunks = await self._workers.call(
            self._archive.get, request.match_info["name"], required(request, "path")
        )
        return await send_chunks(
            request,
            self._workers,
            chunks,
            content_type="application/x-tar",
            headers={_HEADER: path_stat_header(found)},
        )

    async def put(self, request: web.Request) -> web.Response:
        """Serve `PUT /containers/C/archive`."""
        await self._workers.transfer(
            self._archive.put,
            request.match_info["name"],
            required(request, "path"),
            body_of(request),
            no_overwrite_dir_non_dir=boolean(request, "noOverwriteDirNonDir"),
            copy_uid_gid=boolean(request, "copyUIDGID"),
        )
        return web.Response(status=200)

    async def files(self, request: web.Request) -> web.Response:
        """Serve `GET /volfuse/files?container=&path=`."""
        container = required(request, "container")
        found = await self._workers.transfer(self._archive.listing, container, _exact_path(request))
        entries = [_listed_json(entry) for entry in found.entries]
        return json_reply({**text_fields("Path", found.path), "Total": found.total, "Entries": entries})


def path_stat_header(found: PathStat) -> str:
    """Return the header that describes a path: base64 of JSON."""
    value = {
        "name": found.name,
        "size": found.size,
        "mode": go_file_mode(found.mode),
        "mtime": rfc3339_nano(found.mtime_ns),
        "linkTarget": found.link_target,
    }
    return base64.b64encode(msgspec.json.encode(value)).decode("ascii")


def go_file_mode(mode: int) -> int:
    """Return a `st_mode` as Go's `fs.FileMode` numbers it."""
    bits = sum(go for bit, go in _GO_BITS.items() if mode & bit)
    return _GO_KINDS.get(stat.S_IFMT(mode), 0) | bits | mode & 0o777


def _exact_path(request: web.Request) -> str:
    """Return the path of a query, of any bytes (aiohttp puts replacement characters for what is no UTF-8)."""
    required(request, "path")
    return parse_qs(request.rel_url.raw_query_string, errors="surrogateescape")["path"][0]


def _listed_json(entry: Listed) -> dict[str, Any]:
    message: dict[str, Any] = {**text_fields("Name", entry.name), "Mount": entry.mount}
    if (status := entry.status) is not None:
        message |= {
            "Type": _TYPES.get(stat.S_IFMT(status.st_mode), ""),
            "Mode": stat.S_IMODE(status.st_mode),
            "Size": status.st_size,
            "UID": status.st_uid,
            "GID": status.st_gid,
            "ModifiedNano": status.st_mtime_ns,
        }
    if entry.target:
        message |= text_fields("Target", entry.target)
    return message
