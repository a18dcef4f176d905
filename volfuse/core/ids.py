"""Identifiers, and what is a valid name.

Ids of containers are 64 lowercase hex digits; ids of images are the same behind `sha256:`; a volume is
known by its name, which for an anonymous one is 64 hex digits too.
"""

from __future__ import annotations

import re
from typing import NewType

from volfuse.errors import InvalidSpec

__all__ = [
    "ContainerId",
    "ImageId",
    "VolumeName",
    "check_container_name",
    "check_volume_name",
    "short_id",
]

ContainerId = NewType("ContainerId", str)
ImageId = NewType("ImageId", str)
VolumeName = NewType("VolumeName", str)

_NAME = "[a-zA-Z0-9][a-zA-Z0-9_.-]"
_CONTAINER_NAME = re.compile(rf"/?{_NAME}+\Z")
_VOLUME_NAME = re.compile(rf"{_NAME}+\Z")


def short_id(full: str) -> str:
    """Return the 12 hex digits that listings show of a container's or an image's id."""
    return full.removeprefix("sha256:")[:12]


def check_container_name(name: str) -> str:
    """Return a container's name without its leading slash.

    Raises:
        InvalidSpec: the name is not `[a-zA-Z0-9][a-zA-Z0-9_.-]+` (moby daemon/names).
    """
    if not _CONTAINER_NAME.match(name):
        raise InvalidSpec(f"Invalid container name ({name}), only {_NAME} are allowed")
    return name.removeprefix("/")


def check_volume_name(name: str) -> VolumeName:
    """Return the name of a volume of the `local` driver.

    Raises:
        InvalidSpec: one character, or others than Docker allows (moby volume/local).
    """
    if len(name) == 1:
        raise InvalidSpec("volume name is too short, names should be at least two alphanumeric characters")
    if not _VOLUME_NAME.match(name):
        raise InvalidSpec(
            f'"{name}" includes invalid characters for a local volume name, only "{_NAME}" are '
            "allowed. If you intended to pass a host directory, use absolute path"
        )
    return VolumeName(name)
