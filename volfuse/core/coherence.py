"""How fresh the names and attributes of a shared source are in a view, and who chooses it.

A mount's own choice counts before its volume's option, and both before the daemon's default. The first two are settled
when a container is made, since a volume's options do not change while a container refers to it; the default may be
another with each start of the daemon.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from volfuse.errors import InvalidSpec

__all__ = ["OPTION", "Coherence", "chosen_by", "default_coherence", "parse_coherence"]

OPTION = "coherence"
"""Name of the option of a volume, and of the item of a mode."""
_VARIABLE = "VOLFUSE_COHERENCE"


class Coherence(StrEnum):
    """What the kernel may keep of a shared source. A private tree is kept without end, whatever the choice."""

    STRICT = "strict"
    """No names; attributes for one tick, which spares a second question for those that came with a name."""
    LEASE = "lease"
    """Names and attributes until another view or the host changes them."""
    EXACT = "exact"
    """Nothing."""


def parse_coherence(text: str) -> Coherence:
    """Return the coherence that a text spells.

    Raises:
        InvalidSpec: it spells none.
    """
    try:
        return Coherence(text)
    except ValueError:
        raise InvalidSpec(f'invalid value for {OPTION}: {text} (must be "strict", "lease", or "exact")') from None


def chosen_by(options: Mapping[str, str] | None) -> Coherence | None:
    """Return what the options of a volume choose; None if they leave it open.

    Raises:
        InvalidSpec: a value that is none.
    """
    return parse_coherence(options[OPTION]) if options and OPTION in options else None


def default_coherence(option: str | None, environ: Mapping[str, str]) -> Coherence:
    """Return the daemon's default: its option, else VOLFUSE_COHERENCE, else strict.

    The variable reaches a daemon that a command starts by itself.

    Raises:
        InvalidSpec: a value that is none.
    """
    if option is not None:
        return parse_coherence(option)
    value = environ.get(_VARIABLE)
    if not value:
        return Coherence.STRICT
    try:
        return parse_coherence(value)
    except InvalidSpec as exc:
        raise InvalidSpec(f"{_VARIABLE}: {exc}") from exc
