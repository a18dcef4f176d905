"""Use cases on a container's own tree, without its volumes: what has changed, export, commit."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from volfuse.core.imageconfig import merge
from volfuse.core.model import Container, Image, Status
from volfuse.core.wire import Config
from volfuse.engine.containers import Containers
from volfuse.engine.images import Images
from volfuse.engine.lifecycle import Lifecycle
from volfuse.engine.state import StateRoot
from volfuse.engine.tarout import tar_of
from volfuse.engine.treediff import Difference, differences
from volfuse.engine.views import Views
from volfuse.errors import Conflict, Internal, Unsupported
from volfuse.fs.source import MissingSource
from volfuse.fs.view import Mount, View

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Trees"]


class Trees:
    """Containers' own trees. Reads what lies below the views, never the views themselves."""

    def __init__(
        self, state: StateRoot, containers: Containers, images: Images, views: Views, lifecycle: Lifecycle
    ) -> None:
        self._state = state
        self._containers = containers
        self._images = images
        self._views = views
        self._lifecycle = lifecycle

    def changes(self, reference: str) -> list[Difference]:
        """Return what differs from the image."""
        container = self._containers.get(reference)
        root = self._root(container)
        assert not isinstance(root.source, MissingSource)
        image_fd = os.open(self._state.image_rootfs(container.image), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return differences(image_fd, root.source.fd)
        finally:
            os.close(image_fd)

    def export(self, reference: str) -> Iterator[bytes]:
        """Return a tar of the whole tree, made while it is taken."""
        container = self._containers.get(reference)
        chunks = self._tar(container)
        self._containers.announce(container, "export")
        return chunks

    def commit(
        self,
        reference: str,
        *,
        name: str = "",
        comment: str = "",
        author: str = "",
        changes: Sequence[str] = (),
        config: Config | None = None,
        pause: bool = True,
    ) -> Image:
        """Make an image of a container's tree and config.

        Args:
            name: reference of the image; empty for none.
            changes: Dockerfile instructions for its config.
            config: what it says replaces the container's own.
            pause: stop the container's programs meanwhile, where that is possible.

        Raises:
            InvalidSpec: a bad name or instruction.
        """
        container = self._containers.get(reference)
        own = msgspec.convert(msgspec.to_builtins(container.config), Config)
        base = merge(config, own) if config else own
        base = msgspec.structs.replace(base, hostname="", domainname="", image="")
        with self._paused(container) if pause else contextlib.nullcontext():
            stream = io.BufferedReader(_Chunks(self._tar(container)))
            image = self._images.make(
                stream,
                reference=name,
                message=comment,
                changes=changes,
                config=base,
                author=author,
                created_by=" ".join(own.cmd or ()),
            )
        self._containers.announce(container, "commit", comment=comment, imageID=image.id, imageRef=name)
        return image

    @contextlib.contextmanager
    def _paused(self, container: Container) -> Iterator[None]:
        if container.state.status is not Status.RUNNING:
            yield
            return
        try:
            self._lifecycle.pause(container.id)
        except (Conflict, Unsupported):  # it has just ended, or there is no freezer
            yield
            return
        try:
            yield
        finally:
            with contextlib.suppress(Conflict):
                self._lifecycle.unpause(container.id)

    def _tar(self, container: Container) -> Iterator[bytes]:
        return tar_of(View(container.id, container.name, (self._root(container),)), b"", b".")

    def _root(self, container: Container) -> Mount:
        root = next(mount for mount in self._views.shown(container) if not mount.destination)
        if isinstance(root.source, MissingSource):
            raise Internal(f"the files of container {container.name} are missing: {root.source.reason}")
        return root


class _Chunks(io.RawIOBase):
    """Reads what an iterator yields."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
