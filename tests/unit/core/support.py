"""Containers and volumes for tests of the rules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from volfuse.core.ids import ContainerId, ImageId
from volfuse.core.model import Container, MountPoint
from volfuse.core.resolve import Resolution, resolve
from volfuse.core.wire import Config, HostConfig, Mount
from volfuse.errors import NotFound

__all__ = ["CountingIds", "Engine", "hex_id"]


def hex_id(text: str) -> str:
    """Return 64 hex digits that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()


class CountingIds:
    """Ids whose last digits count."""

    def __init__(self) -> None:
        self.count = 0

    def new_id(self) -> str:
        self.count += 1
        return f"{self.count:064x}"


class Engine:
    """Creates containers by resolving requests; keeps them as lenders."""

    def __init__(self, existing_sources: tuple[str, ...] = ("/there",)) -> None:
        self.ids = CountingIds()
        self.containers: dict[str, Container] = {}
        self.source_exists: Callable[[str], bool] = lambda path: path in existing_sources

    def resolve(
        self,
        *,
        volumes: tuple[str, ...] = (),
        binds: tuple[str, ...] = (),
        mounts: tuple[Mount, ...] = (),
        volumes_from: tuple[str, ...] = (),
        tmpfs: dict[str, str] | None = None,
        volume_driver: str = "",
    ) -> Resolution:
        host = HostConfig(
            binds=list(binds),
            mounts=list(mounts),
            volumes_from=list(volumes_from),
            tmpfs=tmpfs,
            volume_driver=volume_driver,
        )
        return resolve(
            Config(volumes={path: {} for path in volumes}),
            host,
            lender=self.find,
            ids=self.ids,
            volume_path=lambda name: f"/v/{name}/_data",
            source_exists=self.source_exists,
        )

    def create(self, name: str, **request: object) -> Container:
        """Resolve and keep; the keywords are those of `resolve`."""
        resolution = self.resolve(**request)  # type: ignore[arg-type]
        container = self.container(name, list(resolution.mounts))
        self.containers[name] = container
        return container

    def container(self, name: str, mounts: list[MountPoint]) -> Container:
        return Container(
            id=ContainerId(hex_id(name)),
            serial=len(self.containers) + 1,
            name=name,
            created_ns=len(self.containers) + 1,
            image=ImageId("sha256:" + hex_id("image")),
            image_ref="image",
            config=Config(),
            host_config=HostConfig(),
            mounts=mounts,
        )

    def find(self, reference: str) -> Container:
        if reference not in self.containers:
            raise NotFound(f"No such container: {reference}")
        return self.containers[reference]
