"""Which volumes go: with a container, by name, and by prune.

A container refers to a volume from its creation to its removal, stopped or not; everything follows from the mount
points of all containers.

Source: docker-semantics 1, 8.5–8.7; moby daemon/mounts.go, daemon/volume/service.
"""

from __future__ import annotations

from collections.abc import Iterable

from volfuse.core.filters import Filters
from volfuse.core.ids import ContainerId, VolumeName
from volfuse.core.model import ANONYMOUS_LABEL, Container, MountType, Volume

__all__ = ["in_use_message", "prunable", "removed_with"]

_PRUNE_ONLY_ANONYMOUS = (1, 42)
"""API version from which prune spares named volumes unless asked with `all`."""


def removed_with(container: Container, others: Iterable[Container]) -> frozenset[VolumeName]:
    """Return the volumes that `rm -v` of a container deletes.

    Those that it has through a mount which did not name the volume (so does a mount taken from a lender if the lender's
    did not), and that no other container refers to. The anonymous label plays no part.

    Args:
        others: all containers that stay.
    """
    unnamed = {m.name for m in container.mounts if m.type is MountType.VOLUME and m.name and not m.named}
    return frozenset(unnamed.difference(*(other.volumes for other in others)))


def in_use_message(name: VolumeName, users: Iterable[ContainerId]) -> str:
    """Return the text of the refusal to remove a volume."""
    return f"remove {name}: volume is in use - [{', '.join(users)}]"


def prunable(volume: Volume, filters: Filters, *, api_version: tuple[int, int]) -> bool:
    """Tell whether `volume prune` takes a volume that nothing refers to.

    Args:
        filters: `label`, `label!` and `all`.
    """
    if volume.driver != "local" or not volume.is_plain:
        return False
    labels = volume.labels or {}
    only_anonymous = api_version >= _PRUNE_ONLY_ANONYMOUS and not filters.boolean("all", default=False)
    return filters.labels_match(labels) and (ANONYMOUS_LABEL in labels or not only_anonymous)
