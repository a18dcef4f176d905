"""The mode of a bind string or of `--volumes-from`: a comma list with at most one item of each class.

Docker's items, and one of our own, `coherence=strict|lease|exact`: Docker's clients send a mode as it was written.

Source: docker-semantics 2.2; moby daemon/volume/mounts/linux_parser.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from volfuse.core.coherence import OPTION, Coherence
from volfuse.errors import InvalidSpec

__all__ = ["NO_MODE", "PROPAGATIONS", "Mode", "is_valid_mode", "parse_mode"]

PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})

_COHERENCES = {f"{OPTION}={coherence}": coherence for coherence in Coherence}

_CLASSES: tuple[frozenset[str], ...] = (
    frozenset({"rw", "ro"}),
    frozenset({"z", "Z"}),
    PROPAGATIONS,
    frozenset({"nocopy"}),
    frozenset({"consistent", "cached", "delegated"}),
    frozenset(_COHERENCES),
)


@dataclass(frozen=True, slots=True)
class Mode:
    """A valid mode; `text` is what the user wrote, and what inspect shows."""

    text: str = ""

    @property
    def read_only(self) -> bool:
        """Whether it holds `ro`."""
        return "ro" in self._items

    @property
    def no_copy(self) -> bool:
        """Whether it holds `nocopy`."""
        return "nocopy" in self._items

    @property
    def propagation(self) -> str:
        """The propagation it names, or empty."""
        return next((item for item in self._items if item in PROPAGATIONS), "")

    @property
    def coherence(self) -> Coherence | None:
        """The coherence it chooses, if it does."""
        return next((_COHERENCES[item] for item in self._items if item in _COHERENCES), None)

    @property
    def _items(self) -> list[str]:
        return self.text.split(",")


NO_MODE = Mode()


def is_valid_mode(text: str) -> bool:
    """Tell whether all items are known and no class is there twice; empty is valid."""
    if not text:
        return True
    items = text.split(",")
    counts = [sum(item in of_class for item in items) for of_class in _CLASSES]
    return sum(counts) == len(items) and max(counts) <= 1


def parse_mode(text: str) -> Mode:
    """Return the mode that a text spells.

    Raises:
        InvalidSpec: an unknown item, or two of one class.
    """
    if not is_valid_mode(text):
        raise InvalidSpec(f"invalid mode: {text}")
    return Mode(text)
