"""Configs of images: read and written as in archives, merged into what a create request asks for.

Source: OCI image-spec config.md, moby image spec v1.2 and daemon/commit.go (what wins in a merge).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from volfuse.core.ids import ImageId
from volfuse.core.model import History, Image
from volfuse.core.wire import Config
from volfuse.errors import InvalidSpec

__all__ = ["decode_image", "encode_image", "image_id", "merge"]

_NS = 10**9
_ONE_SECOND = timedelta(seconds=1)


def merge(request: Config, image: Config) -> Config:
    """Return the config of a container: the request, and the image's config where the request says nothing.

    Volumes, labels and exposed ports are united, environment variables united by name. The image's command is taken
    only if the request sets neither command nor entrypoint; an entrypoint of one empty string means none.
    """
    # A create request is a Config with more in it: the result keeps its type.
    entrypoint, cmd = request.entrypoint, request.cmd
    if not entrypoint:
        cmd = cmd or image.cmd
        entrypoint = image.entrypoint if entrypoint is None else entrypoint
    if entrypoint == [""]:
        entrypoint = None
    return msgspec.structs.replace(
        request,
        user=request.user or image.user,
        exposed_ports=_united(image.exposed_ports, request.exposed_ports),
        env=_merged_env(request.env or [], image.env or []) or request.env,
        labels=_united(image.labels, request.labels) or {},
        cmd=cmd,
        entrypoint=entrypoint,
        healthcheck=_merged_healthcheck(request.healthcheck, image.healthcheck),
        working_dir=request.working_dir or image.working_dir,
        volumes=_united(request.volumes, image.volumes),
        stop_signal=request.stop_signal or image.stop_signal,
        shell=request.shell or image.shell,
        on_build=request.on_build or image.on_build,
    )


def _united(first: dict[str, Any] | None, second: dict[str, Any] | None) -> dict[str, Any] | None:
    return {**(first or {}), **(second or {})} if first or second else None


def _merged_env(request: list[str], image: list[str]) -> list[str]:
    asked = {entry.partition("=")[0] for entry in request}
    return request + [entry for entry in image if entry.partition("=")[0] not in asked]


def _merged_healthcheck(request: dict[str, Any] | None, image: dict[str, Any] | None) -> dict[str, Any] | None:
    if request is None or image is None:
        return request or image
    return {**image, **{name: value for name, value in request.items() if value}}


class _ArchivedHistory(msgspec.Struct):
    """An entry of `history`."""

    created: str | None = None
    created_by: str | None = None
    comment: str | None = None


class _RootFs(msgspec.Struct):
    """The digests of the unpacked layers, lowest first."""

    type: str = "layers"
    diff_ids: list[str] | None = None


class _ArchivedImage(msgspec.Struct):
    """A config file of an archive. Its own fields are lower case, those of `config` Docker's."""

    created: str | None = None
    author: str | None = None
    comment: str | None = None
    architecture: str | None = None
    os: str | None = None
    config: dict[str, Any] | None = None
    rootfs: _RootFs | None = None
    history: list[_ArchivedHistory] | None = None


def image_id(config_json: bytes) -> ImageId:
    """Return the id of an image: the digest of its config file."""
    return ImageId(f"sha256:{hashlib.sha256(config_json).hexdigest()}")


def decode_image(config_json: bytes) -> Image:
    """Read an image's config file; the size is not in it.

    Raises:
        InvalidSpec: it is no JSON, or not of this form.
    """
    try:
        archived = msgspec.json.decode(config_json, type=_ArchivedImage)
        config = msgspec.convert(_without_nulls(archived.config or {}), Config)
    except (msgspec.DecodeError, msgspec.ValidationError) as exc:
        raise InvalidSpec(f"invalid image config: {exc}") from exc
    return Image(
        id=image_id(config_json),
        created_ns=_decode_time(archived.created),
        config=config,
        layers=(archived.rootfs.diff_ids if archived.rootfs else None) or [],
        history=[_decode_history(entry) for entry in archived.history or []],
        architecture=archived.architecture or "",
        os=archived.os or "linux",
        comment=archived.comment or "",
        author=archived.author or "",
    )


def encode_image(image: Image) -> bytes:
    """Write an image's config file; the same values give the same bytes, and so the same id."""
    archived: dict[str, Any] = {
        "architecture": image.architecture,
        "author": image.author,
        "comment": image.comment,
        "config": msgspec.to_builtins(image.config),
        "created": _encode_time(image.created_ns),
        "history": [
            {"created": _encode_time(entry.created_ns), "created_by": entry.created_by, "comment": entry.comment}
            for entry in image.history
        ],
        "os": image.os,
        "rootfs": {"type": "layers", "diff_ids": image.layers},
    }
    return msgspec.json.encode(archived, order="deterministic")


def _without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Go writes null for an empty list or map; a field that is not there means the same."""
    return {name: value for name, value in values.items() if value is not None}


def _decode_history(entry: _ArchivedHistory) -> History:
    return History(
        created_ns=_decode_time(entry.created), created_by=entry.created_by or "", comment=entry.comment or ""
    )


def _decode_time(text: str | None) -> int:
    """Parse RFC 3339; fractions have up to nine digits, of which `datetime` would keep six."""
    if not text:
        return 0
    whole, point, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :]
    try:
        moment = datetime.fromisoformat(whole + zone if point else text)
    except ValueError as exc:
        raise InvalidSpec(f"invalid image config: bad time {text}") from exc
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // _ONE_SECOND
    return max(0, seconds * _NS + int(f"{digits:0<9}"[:9]))


def _encode_time(ns: int) -> str:
    moment = datetime.fromtimestamp(ns // _NS, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % _NS:09d}Z"
