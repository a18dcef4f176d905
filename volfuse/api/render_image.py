"""The JSON of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from volfuse.api.render_config import config_json
from volfuse.api.render_text import rfc3339_nano, unix_seconds
from volfuse.core.model import Image

__all__ = ["history_json", "image_json", "image_summary_json"]


def image_summary_json(image: Image, references: Sequence[str], containers: int) -> dict[str, Any]:
    """Return an entry of `GET /images/json`."""
    return {
        "Id": image.id,
        "ParentId": "",
        "RepoTags": list(references),
        "RepoDigests": [],
        "Created": unix_seconds(image.created_ns),
        "Size": image.size,
        "SharedSize": -1,
        "Containers": containers,
        "Labels": image.config.labels or {},
    }


def image_json(image: Image, references: Sequence[str]) -> dict[str, Any]:
    """Return the object of `GET /images/I/json`."""
    return {
        "Id": image.id,
        "RepoTags": list(references),
        "RepoDigests": [],
        "Parent": "",
        "Comment": image.comment,
        "Created": rfc3339_nano(image.created_ns),
        "DockerVersion": "",
        "Author": image.author,
        "Config": config_json(image.config),
        "Architecture": image.architecture,
        "Os": image.os,
        "Size": image.size,
        "GraphDriver": {"Name": "volfuse", "Data": None},
        "RootFS": {"Type": "layers", "Layers": image.layers},
        "Metadata": {"LastTagTime": rfc3339_nano(0)},
    }


def history_json(image: Image, references: Sequence[str]) -> list[dict[str, Any]]:
    """Return the steps of an image's making, the last one first; an image without any has one."""
    steps = [
        {
            "Id": "<missing>",
            "Created": unix_seconds(step.created_ns),
            "CreatedBy": step.created_by,
            "Tags": None,
            "Size": step.size,
            "Comment": step.comment,
        }
        for step in reversed(image.history)
    ] or [
        {
            "Id": "<missing>",
            "Created": unix_seconds(image.created_ns),
            "CreatedBy": "",
            "Tags": None,
            "Size": image.size,
            "Comment": image.comment,
        }
    ]
    return [steps[0] | {"Id": image.id, "Tags": list(references) or None}, *steps[1:]]
