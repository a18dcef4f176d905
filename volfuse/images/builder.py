"""Images out of archives: a tar of one tree (`import`), or archives of `docker save` and of OCI layouts (`load`).

Each image is built in a directory of its own below the caller's staging, which the caller moves or removes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

import msgspec

from volfuse.core.changes import apply_changes
from volfuse.core.imageconfig import decode_image, encode_image, image_id
from volfuse.core.model import History, Image
from volfuse.core.wire import Config
from volfuse.engine.ports import BuiltImage
from volfuse.errors import InvalidSpec
from volfuse.images.layers import TreeUnpacker
from volfuse.images.manifests import ArchivedImage, Platform, read_images
from volfuse.images.spool import Spool
from volfuse.images.streams import DEFAULT_LIMITS, Limits, TarBytes, counted
from volfuse.sys.owned import owned

__all__ = ["ArchiveImageBuilder"]

_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class ArchiveImageBuilder:
    """Implements `engine.ports.ImageBuilder`; safe to use from any thread."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, machine: str | None = None) -> None:
        """Set what archives may cost.

        Args:
            machine: as `uname -m` says it; this machine's if None.
        """
        self._limits = limits
        name = machine or os.uname().machine
        self._platform = Platform(_GO_ARCHITECTURES.get(name, name), "linux")

    def import_tar(
        self,
        stream: BinaryIO,
        staging: Path,
        *,
        changes: Sequence[str],
        message: str,
        created_ns: int,
        config: Config | None = None,
        author: str = "",
        created_by: str = "",
    ) -> BuiltImage:
        """Make an image of a tar, compressed or not, that holds one file tree.

        Args:
            stream: read to its end, forward only.
            changes: Dockerfile instructions for the config.
            config: what they are applied to; an empty one if not given.
            message: comment of the image and of its history.
            created_by: the command that its history names.

        Raises:
            InvalidSpec: a change or the archive is not valid.
            OSError: the tree cannot be written.
        """
        config = apply_changes(config or Config(), changes)
        rootfs, size, diff_ids = self._unpack(staging, [lambda: nullcontext(stream)])
        image = Image(
            id=image_id(b""),
            created_ns=created_ns,
            config=config,
            size=size,
            layers=diff_ids,
            history=[History(created_ns=created_ns, created_by=created_by, comment=message, size=size)],
            architecture=self._platform.architecture,
            os=self._platform.os,
            comment=message,
            author=author,
        )
        return BuiltImage(msgspec.structs.replace(image, id=image_id(encode_image(image))), rootfs)

    def load(self, stream: BinaryIO, staging: Path, progress: Callable[[int], None]) -> Iterator[BuiltImage]:
        """Make the images of an archive, one after the other.

        Args:
            stream: read to its end before the first image is made, forward only.
            progress: told the bytes read so far.

        Raises:
            InvalidSpec: the archive, or one in it, is not valid; the images before were made.
            OSError: a tree cannot be written.
        """
        spool = Spool(counted(stream, progress), Path(tempfile.mkdtemp(prefix="spool-", dir=staging)), self._limits)
        for archived in read_images(spool, self._platform):
            yield self._load_one(archived, staging)

    def _load_one(self, archived: ArchivedImage, staging: Path) -> BuiltImage:
        image = decode_image(archived.config_json)
        if len(image.layers) != len(archived.layers):
            raise InvalidSpec(
                f"invalid manifest, layers length mismatch: expected {len(image.layers)}, got {len(archived.layers)}"
            )
        rootfs, size, diff_ids = self._unpack(staging, archived.layers)
        for number, (expected, actual) in enumerate(zip(image.layers, diff_ids, strict=True)):
            if expected != actual:
                raise InvalidSpec(f'invalid diffID for layer {number}: expected "{expected}", got "{actual}"')
        return BuiltImage(msgspec.structs.replace(image, size=size), rootfs, archived.references)

    def _unpack(
        self, staging: Path, layers: Sequence[Callable[[], AbstractContextManager[BinaryIO]]]
    ) -> tuple[Path, int, list[str]]:
        """Unpack layers into a fresh `…/rootfs`; return it, the bytes of its files and the diff ids."""
        rootfs = Path(tempfile.mkdtemp(prefix="image-", dir=staging)) / "rootfs"
        rootfs.mkdir()
        rootfs.chmod(0o755)
        with owned(os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as root_fd:
            unpacker = TreeUnpacker(root_fd, self._limits)
            diff_ids = []
            for open_layer in layers:
                with open_layer() as layer:
                    diff_ids.append(unpacker.unpack(TarBytes(layer, self._limits)))
            unpacker.finish()
        return rootfs, unpacker.size, diff_ids
