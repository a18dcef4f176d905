"""volfuse's own routes: views, where they are mounted, and what the machine can do."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from volfuse.api.decode import json_body, required
from volfuse.api.replies import json_reply
from volfuse.api.route import Route
from volfuse.api.workers import Workers
from volfuse.core.wire import Wire
from volfuse.engine.containers import Containers
from volfuse.engine.views import MountReport, ViewReport, Views
from volfuse.errors import NotFound

__all__ = ["Doctor", "ViewRoutes"]

Doctor = Callable[[], list[dict[str, str]]]
"""Examines the machine; the daemon provides it."""


class _MountView(Wire, frozen=True):
    """Body of `POST /volfuse/mounts`; no container means the directory of all views."""

    directory: str
    container: str = ""
    read_only: bool = False


class ViewRoutes:
    """`/volfuse/views`, `/volfuse/mounts`, `/volfuse/doctor`."""

    def __init__(self, views: Views, containers: Containers, doctor: Doctor, workers: Workers) -> None:
        self._views = views
        self._containers = containers
        self._doctor = doctor
        self._workers = workers

    def routes(self) -> Iterable[Route]:
        """Return the routes."""
        yield Route("GET", "/volfuse/views", self.list)
        yield Route("GET", "/volfuse/mounts", self.mounts)
        yield Route("POST", "/volfuse/mounts", self.mount)
        yield Route("DELETE", "/volfuse/mounts", self.umount)
        yield Route("GET", "/volfuse/doctor", self.examine)

    async def list(self, _request: web.Request) -> web.Response:
        """Serve `GET /volfuse/views`."""
        return json_reply([_view_json(view) for view in await self._workers.call(self._views.list)])

    async def mounts(self, _request: web.Request) -> web.Response:
        """Serve `GET /volfuse/mounts`."""
        return json_reply(await self._workers.call(self._mounts_json))

    async def mount(self, request: web.Request) -> web.Response:
        """Serve `POST /volfuse/mounts`."""
        wanted = await json_body(request, _MountView)
        await self._workers.call(self._mount, wanted)
        return web.Response(status=204)

    async def umount(self, request: web.Request) -> web.Response:
        """Serve `DELETE /volfuse/mounts?directory=`."""
        await self._workers.call(self._views.umount, required(request, "directory"))
        return web.Response(status=204)

    async def examine(self, _request: web.Request) -> web.Response:
        """Serve `GET /volfuse/doctor`."""
        return json_reply(await self._workers.call(self._doctor))

    def _mount(self, wanted: _MountView) -> None:
        container = self._containers.get(wanted.container) if wanted.container else None
        self._views.mount(container, wanted.directory, read_only=wanted.read_only)

    def _mounts_json(self) -> builtins.list[dict[str, Any]]:
        return [
            {
                "Container": self._name_of(bound.container) if bound.container else "",
                "Directory": bound.directory,
                "ReadOnly": bound.read_only,
            }
            for bound in self._views.mounts()
        ]

    def _name_of(self, container: str) -> str:
        try:
            return self._containers.get(container).name
        except NotFound:  # removed since
            return container


def _view_json(view: ViewReport) -> dict[str, Any]:
    return {
        "Container": view.container,
        "Id": view.id,
        "Path": view.path,
        "Transport": view.transport,
        "State": view.state,
        "VolumesFrom": view.volumes_from,
        "Mounts": [_mount_json(mount) for mount in view.mounts],
    }


def _mount_json(mount: MountReport) -> dict[str, Any]:
    return {
        "Destination": mount.destination,
        "Source": mount.source,
        "Type": mount.type,
        "Label": mount.label,
        "RW": mount.rw,
        "SharedWith": mount.shared_with,
        "Coherence": mount.coherence or "",
        "CoherenceReason": mount.coherence_reason,
        "Data": mount.data.route.value if mount.data is not None else "",
        "DataReason": mount.data.reason if mount.data is not None else "",
    }
