"""Mount points as Docker's JSON shows them (`Mounts` of inspect and of listings), with their coherence.

Source: docker-semantics 4: empty Type, Name and Driver are left out, the other fields are always there. `Coherence`,
which is our own, is there where it was chosen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from volfuse.core.model import MountPoint

__all__ = ["mount_json", "mounts_json"]


def mounts_json(mounts: Iterable[MountPoint]) -> list[dict[str, Any]]:
    """Return the `Mounts` of a container, sorted by destination, without those of `--tmpfs`."""
    return [mount_json(m) for m in sorted(mounts, key=lambda m: m.destination) if not m.hidden]


def mount_json(mount: MountPoint) -> dict[str, Any]:
    """Return one entry of `Mounts`."""
    name = {"Name": str(mount.name)} if mount.name else {}
    driver = {"Driver": mount.driver} if mount.driver else {}
    coherence = {"Coherence": mount.coherence.value} if mount.coherence else {}
    return {
        "Type": mount.type.value,
        **name,
        "Source": mount.source,
        "Destination": mount.destination,
        **driver,
        "Mode": mount.mode,
        "RW": mount.rw,
        "Propagation": mount.propagation,
        **coherence,
    }
