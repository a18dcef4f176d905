"""The JSON of volumes."""

from __future__ import annotations

from typing import Any

from volfuse.api.render_text import rfc3339
from volfuse.core.model import Volume

__all__ = ["volume_json"]


def volume_json(volume: Volume, mountpoint: str, *, usage: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return Docker's volume object.

    Args:
        usage: bytes and references, which only `system df` shows.
    """
    value: dict[str, Any] = {
        "CreatedAt": rfc3339(volume.created_ns),
        "Driver": volume.driver,
        "Labels": volume.labels,
        "Mountpoint": mountpoint,
        "Name": volume.name,
        "Options": volume.options,
        "Scope": "local",
    }
    if usage is not None:
        value["UsageData"] = {"Size": usage[0], "RefCount": usage[1]}
    return value
