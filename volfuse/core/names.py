"""Names for containers whose creator gave none."""

from __future__ import annotations

from volfuse.core.ports import Ids

__all__ = ["suggest_name"]

_ADJECTIVES = (
    "amber", "brave", "bright", "broad", "brisk", "calm", "clear", "clever", "coral", "crisp", "deep", "eager",
    "early", "fair", "fond", "gentle", "glad", "golden", "grand", "green", "happy", "keen", "kind", "lively",
    "lucid", "mellow", "merry", "modest", "neat", "noble", "open", "patient", "plain", "polite", "proud", "quick",
    "quiet", "ready", "serene", "sharp", "silver", "smart", "steady", "still", "sunny", "swift", "tidy", "warm",
)  # fmt: skip
_NOUNS = (
    "alder", "anchor", "badger", "barrel", "basin", "beacon", "birch", "bridge", "brook", "canal", "cedar", "cove",
    "crane", "delta", "dune", "falcon", "fern", "ferry", "fjord", "glacier", "grove", "harbor", "heron", "hollow",
    "island", "jetty", "lagoon", "lantern", "ledge", "maple", "marsh", "meadow", "otter", "pebble", "pier", "pond",
    "quay", "reef", "ridge", "river", "robin", "sparrow", "spring", "summit", "tide", "valley", "willow", "wren",
)  # fmt: skip


def suggest_name(ids: Ids) -> str:
    """Return two words chosen by chance, joined as Docker's generated names are."""
    chance = int(ids.new_id(), 16)
    adjective, noun = divmod(chance % (len(_ADJECTIVES) * len(_NOUNS)), len(_NOUNS))
    return f"{_ADJECTIVES[adjective]}_{_NOUNS[noun]}"
