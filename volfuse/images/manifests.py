"""What a spooled archive says of its images: which config, which layers, which names.

`docker save` writes `manifest.json`, newer versions an OCI layout beside it; other tools write the layout alone. From
an index with several platforms ours is taken.

Source: moby image spec v1.2 ("Combined Image JSON + Filesystem Changeset Format"), OCI image-spec image-layout.md,
image-index.md, manifest.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import msgspec

from volfuse.core.wire import go_name
from volfuse.errors import InvalidSpec, Unsupported
from volfuse.images.spool import Spool

__all__ = ["ArchivedImage", "Platform", "read_images"]

_DEEPEST_INDEX = 8
_INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
_FULL_NAME = "io.containerd.image.name"
_REF_NAME = "org.opencontainers.image.ref.name"


class Platform(msgspec.Struct, frozen=True):
    """What an image runs on, in Go's words (`amd64`)."""

    architecture: str = ""
    os: str = ""


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """One image of an archive; layers are opened lowest first, each by its own call."""

    config_json: bytes
    layers: tuple[Callable[[], BinaryIO], ...]
    references: tuple[str, ...]


class _DockerManifest(msgspec.Struct, rename=go_name):
    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None


class _Descriptor(msgspec.Struct, rename="camel"):
    digest: str
    media_type: str = ""
    platform: Platform | None = None
    annotations: dict[str, str] | None = None


class _Index(msgspec.Struct):
    manifests: list[_Descriptor] | None = None


class _Manifest(msgspec.Struct):
    config: _Descriptor
    layers: list[_Descriptor] | None = None


def read_images(spool: Spool, platform: Platform) -> Iterator[ArchivedImage]:
    """Yield the images of an archive.

    Raises:
        InvalidSpec: it is neither of the formats, a part is missing or broken, or none is for `platform`.
    """
    if spool.has("manifest.json"):
        for manifest in spool.read_json("manifest.json", list[_DockerManifest]):
            yield _docker_image(spool, manifest)
    elif spool.has("index.json"):
        for descriptor in spool.read_json("index.json", _Index).manifests or []:
            yield from _oci_images(spool, descriptor, platform)
    else:
        raise InvalidSpec("invalid archive: does not contain a manifest.json")


def _docker_image(spool: Spool, manifest: _DockerManifest) -> ArchivedImage:
    return ArchivedImage(
        spool.read(manifest.config),
        tuple(_opener(spool.open, name) for name in manifest.layers or []),
        tuple(manifest.repo_tags or []),
    )


def _oci_images(spool: Spool, descriptor: _Descriptor, platform: Platform) -> Iterator[ArchivedImage]:
    references = _references(descriptor)
    chosen = _choose(spool, descriptor, platform)
    if chosen is None:
        return
    manifest: _Manifest = spool.read_json_blob(chosen.digest, _Manifest)
    for layer in manifest.layers or []:
        if layer.media_type.endswith("+encrypted"):
            raise Unsupported(f"layer {layer.digest} is encrypted")
    yield ArchivedImage(
        spool.read_blob(manifest.config.digest),
        tuple(_opener(spool.open_blob, layer.digest) for layer in manifest.layers or []),
        references,
    )


def _choose(spool: Spool, descriptor: _Descriptor, platform: Platform) -> _Descriptor | None:
    """Return the manifest that a descriptor of the layout means here; None for what is no image (attestations)."""
    for _ in range(_DEEPEST_INDEX):
        if descriptor.media_type not in _INDEX_TYPES:
            unknown = descriptor.platform is not None and descriptor.platform.os == "unknown"
            return None if unknown else descriptor
        manifests = spool.read_json_blob(descriptor.digest, _Index).manifests or []
        fitting = [m for m in manifests if m.platform is None or _fits(m.platform, platform)]
        if not fitting:
            offered = sorted({f"{m.platform.os}/{m.platform.architecture}" for m in manifests if m.platform})
            raise InvalidSpec(
                f"no image for platform {platform.os}/{platform.architecture} in the archive, only {', '.join(offered)}"
            )
        descriptor = fitting[0]
    raise InvalidSpec(f"invalid archive: more than {_DEEPEST_INDEX} indexes within each other")


def _fits(offered: Platform, wanted: Platform) -> bool:
    return (offered.os, offered.architecture) == (wanted.os, wanted.architecture)


def _references(descriptor: _Descriptor) -> tuple[str, ...]:
    """Return the name of an image. A `ref.name` may be a tag alone, which names nothing."""
    annotations = descriptor.annotations or {}
    if full := annotations.get(_FULL_NAME):
        return (full,)
    name = annotations.get(_REF_NAME, "")
    return (name,) if "/" in name or ":" in name else ()


def _opener(opener: Callable[[str], BinaryIO], name: str) -> Callable[[], BinaryIO]:
    return lambda: opener(name)
