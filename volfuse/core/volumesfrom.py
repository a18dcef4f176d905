"""The grammar of `--volumes-from`: `CONTAINER[:MODE]`.

Source: docker-semantics 2.5; moby daemon/volume/mounts/linux_parser.go, ParseVolumesFrom.
"""

from __future__ import annotations

from dataclasses import dataclass

from volfuse.core.modes import parse_mode
from volfuse.errors import InvalidSpec

__all__ = ["VolumesFrom", "parse_volumes_from"]


@dataclass(frozen=True, slots=True)
class VolumesFrom:
    """A lender, by id, id prefix or name, and whether its mounts are taken read-only."""

    container: str
    read_only: bool = False


def parse_volumes_from(text: str) -> VolumesFrom:
    """Split a spec at its first colon.

    Raises:
        InvalidSpec: empty, or the mode is not valid here: propagation, `nocopy` and coherence belong to the lender.
    """
    if not text:
        raise InvalidSpec("volumes-from specification cannot be an empty string")
    container, _, mode_text = text.partition(":")
    mode = parse_mode(mode_text)
    if mode.propagation or mode.no_copy or mode.coherence:
        raise InvalidSpec(f"invalid mode: {mode_text}")
    return VolumesFrom(container, mode.read_only)
