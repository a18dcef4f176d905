"""Use cases of images: bring in, name, list, remove."""

from __future__ import annotations

import builtins
import contextlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from volfuse.core.events import Event, EventType
from volfuse.core.filters import Filters, image_matches
from volfuse.core.ids import ImageId, short_id
from volfuse.core.model import Container, Image
from volfuse.core.ports import Clock
from volfuse.core.reference import parse_reference
from volfuse.core.timestamps import until
from volfuse.core.wire import Config
from volfuse.engine.events import EventLog
from volfuse.engine.ports import BuiltImage, ImageBuilder, Store
from volfuse.engine.state import Change, StateRoot
from volfuse.errors import Conflict, InvalidSpec, NotFound

__all__ = ["ImageSummary", "Images"]

_ID = re.compile(r"(sha256:)?[0-9a-f]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """An image as listings show it: with its references and the number of its containers."""

    image: Image
    references: list[str]
    containers: int


class Images:
    """The images that containers are created from."""

    def __init__(self, state: StateRoot, store: Store, builder: ImageBuilder, events: EventLog, clock: Clock) -> None:
        self._state = state
        self._store = store
        self._builder = builder
        self._events = events
        self._clock = clock
        self._guard = threading.RLock()  # held while an image or a tag is written or removed
        self._pins: dict[ImageId, int] = {}  # containers being made of an image; guarded by _guard

    def import_(self, stream: BinaryIO, *, reference: str, message: str, changes: Sequence[str]) -> Image:
        """Make an image of a tar of a file tree.

        Args:
            reference: name and tag; empty for an image without a name.
            changes: Dockerfile instructions to apply to the config.

        Raises:
            InvalidSpec: the archive, the reference or an instruction is bad.
        """
        image = self.make(stream, reference=reference, message=message, changes=changes, config=None)
        self._announce(image.id, "import", image.id)
        return image

    def make(
        self,
        stream: BinaryIO,
        *,
        reference: str,
        message: str,
        changes: Sequence[str],
        config: Config | None,
        author: str = "",
        created_by: str = "",
    ) -> Image:
        """Make an image of a tar of a file tree and of a config, and say so to nobody.

        Raises:
            InvalidSpec: the archive, the reference or an instruction is bad.
        """
        references = [parse_reference(reference).familiar] if reference else []
        with self._state.workspace() as workspace:
            built = self._builder.import_tar(
                stream,
                workspace,
                changes=changes,
                message=message,
                created_ns=self._clock.now_ns(),
                config=config,
                author=author,
                created_by=created_by,
            )
            self._keep(built, references)
        return built.image

    def load(self, stream: BinaryIO, progress: Callable[[int], None]) -> builtins.list[str]:
        """Bring in the images of a `docker save` or OCI archive; return what each is called (or its id)."""
        loaded = []
        with self._state.workspace() as workspace:
            for built in self._builder.load(stream, workspace, progress):
                references = [parse_reference(text).familiar for text in built.references]
                self._keep(built, references)
                self._announce(built.image.id, "load", built.image.id)
                loaded += references or [built.image.id]
        return loaded

    def _keep(self, built: BuiltImage, references: Iterable[str]) -> None:
        with self._guard, self._state.change() as change:
            if self._store.image(built.image.id) is None:
                change.rows.put_image(built.image)
                change.place(built.rootfs_staging.parent, self._state.image_dir(built.image.id))
            for reference in references:
                change.rows.put_tag(reference, built.image.id)

    def get(self, name: str) -> Image:
        """Return the image of a reference, an id or a unique prefix of one.

        Raises:
            NotFound: there is none.
        """
        if _ID.match(name):
            digits = name.removeprefix("sha256:")
            matches = [i for i in self._store.images() if i.id.removeprefix("sha256:").startswith(digits)]
            if len(matches) == 1:
                return matches[0]
        reference = parse_reference(name)
        image_id = self._store.tags().get(reference.familiar)
        image = self._store.image(image_id) if image_id else None
        if image is None:
            raise NotFound(f"No such image: {reference.familiar}")
        return image

    @contextmanager
    def pinned(self, name: str) -> Iterator[Image]:
        """Give an image as `get` does, and keep it from being removed during the block."""
        with self._guard:
            image = self.get(name)
            self._pins[image.id] = self._pins.get(image.id, 0) + 1
        try:
            yield image
        finally:
            with self._guard:
                self._pins[image.id] -= 1
                if not self._pins[image.id]:
                    del self._pins[image.id]

    def _users(self, image: Image) -> builtins.list[Container]:
        """Return an image's containers; the caller holds the guard.

        Raises:
            Conflict: one is just being made.
        """
        if image.id in self._pins:
            raise Conflict(f"conflict: unable to delete {short_id(image.id)} - a container is just being made of it")
        return [c for c in self._store.containers() if c.image == image.id]

    def references(self, image: Image) -> builtins.list[str]:
        """Return the tags of an image, sorted."""
        return [reference for reference, image_id in self._store.tags().items() if image_id == image.id]

    def list(self, *, all: bool, filters: Filters) -> builtins.list[ImageSummary]:  # noqa: ARG002
        """Return the images that pass the filters, newest first; `all` changes nothing: there are no parents."""
        users = _count(c.image for c in self._store.containers())
        before = [self.get(name).created_ns for name in filters.get("before")]
        if (until_ns := until(filters, self._clock.now_ns())) is not None:
            before.append(until_ns)
        since = [self.get(name).created_ns for name in filters.get("since")]
        found = []
        for image in self._store.images():
            references = self.references(image)
            window = {"before_ns": min(before, default=None), "since_ns": max(since, default=None)}
            if image_matches(image, references, filters, **window):
                found.append(ImageSummary(image, references, users.get(image.id, 0)))
        return sorted(found, key=lambda s: (-s.image.created_ns, s.image.id))

    def named(self, names: Iterable[str]) -> set[ImageId]:
        """Return the ids of the images that these names mean; a name that means none is left out."""
        found = set()
        for name in names:
            with contextlib.suppress(NotFound, InvalidSpec):
                found.add(self.get(name).id)
        return found

    def tag(self, name: str, repo: str, tag: str) -> None:
        """Give an image one more reference."""
        reference = parse_reference(f"{repo}:{tag}" if tag else repo).familiar
        with self._guard:
            image = self.get(name)
            with self._state.change() as change:
                change.rows.put_tag(reference, image.id)
        self._announce(image.id, "tag", reference)

    def remove(self, name: str, *, force: bool, prune: bool = True) -> builtins.list[dict[str, str]]:  # noqa: ARG002
        """Untag an image, and delete it with its last tag; return Docker's `Untagged` and `Deleted` entries.

        Args:
            prune: delete untagged parents; an unpacked image has none.

        Raises:
            NotFound: there is none.
            Conflict: a container is made of it, or it has several tags and was named by its id.
        """
        with self._guard:
            image = self.get(name)
            tags = self.references(image)
            users = self._users(image)
            by_id = _is_id(name, image)
            going = tags if by_id else [parse_reference(name).familiar]
            last = len(going) == len(tags)
            self._check_removable(image, name, going, users, by_id=by_id, last=last, force=force)
            delete = last and not users
            with self._state.change() as change:
                for reference in going:
                    change.rows.delete_tag(reference)
                if delete:
                    self._delete(change, image)
        return self._report(image, going, deleted=delete)

    def _check_removable(
        self,
        image: Image,
        name: str,
        going: Sequence[str],
        users: Sequence[Container],
        *,
        by_id: bool,
        last: bool,
        force: bool,
    ) -> None:
        if by_id and len(going) > 1 and not force:
            raise Conflict(
                f"conflict: unable to delete {short_id(image.id)} (must be forced) - "
                "image is referenced in multiple repositories"
            )
        if not users or not last:
            return
        holder = short_id(users[0].id)
        running = any(c.state.pid for c in users)
        if by_id and (running or not force):
            state, forced = ("running", "cannot be forced") if running else ("stopped", "must be forced")
            raise Conflict(
                f"conflict: unable to delete {short_id(image.id)} ({forced}) - "
                f"image is being used by {state} container {holder}"
            )
        if not by_id and not force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{name}" (must force) - '
                f"container {holder} is using its referenced image {short_id(image.id)}"
            )

    def _delete(self, change: Change, image: Image) -> None:
        change.rows.delete_image(image.id)
        change.discard(self._state.image_dir(image.id))

    def _report(self, image: Image, untagged: Sequence[str], *, deleted: bool) -> builtins.list[dict[str, str]]:
        for reference in untagged:
            self._announce(image.id, "untag", reference)
        report = [{"Untagged": reference} for reference in untagged]
        if deleted:
            self._announce(image.id, "delete", image.id)
            report.append({"Deleted": image.id})
        return report

    def prune(self, filters: Filters) -> tuple[builtins.list[dict[str, str]], int]:
        """Delete images that no container uses: those without a tag, or all with the filter `dangling=false`."""
        report: list[dict[str, str]] = []
        reclaimed = 0
        untagged_only = filters.boolean("dangling", default=True)
        for summary in self.list(all=True, filters=filters.without("dangling")):
            if summary.containers or (untagged_only and summary.references):
                continue
            with self._guard:
                if summary.image.id in self._pins or self._users(summary.image):
                    continue
                with self._state.change() as change:
                    self._delete(change, summary.image)
            report += self._report(summary.image, summary.references, deleted=True)
            reclaimed += summary.image.size
        self._announce("", "prune", "", reclaimed=str(reclaimed))
        return report, reclaimed

    def _announce(self, image: str, action: str, name: str, **more: str) -> None:
        attributes: Mapping[str, str] = {**({"name": name} if name else {}), **more}
        self._events.publish(Event(EventType.IMAGE, action, image, dict(attributes), self._clock.now_ns()))


def _is_id(name: str, image: Image) -> bool:
    return bool(_ID.match(name)) and image.id.removeprefix("sha256:").startswith(name.removeprefix("sha256:"))


def _count(images: Iterable[ImageId]) -> dict[ImageId, int]:
    counts: dict[ImageId, int] = {}
    for image in images:
        counts[image] = counts.get(image, 0) + 1
    return counts
