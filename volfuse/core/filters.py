"""Filters of listings and prunes: the `filters` query, and what passes.

Values of one key are alternatives, except labels, which must all be there; keys are ANDed. Names match as a regular
expression anywhere in the name. The API decodes with the keys of its listing; matching then meets valid values only.

Source: docker-semantics 1, 5.3, 8.20; moby daemon/internal/filters, daemon/list.go, daemon/volume/service/convert.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from volfuse.core.ids import ImageId
from volfuse.core.model import Container, Image, MountPoint, Status, Volume
from volfuse.errors import InvalidSpec, NotFound

__all__ = [
    "CONTAINER_LIST",
    "CONTAINER_PRUNE",
    "IMAGE_LIST",
    "IMAGE_PRUNE",
    "NETWORK_LIST",
    "NETWORK_PRUNE",
    "NO_FILTERS",
    "VOLUME_LIST",
    "VOLUME_PRUNE",
    "Filters",
    "decode_filters",
    "image_matches",
    "select_containers",
    "volume_matches",
]

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_HEALTH = ("starting", "healthy", "unhealthy", "none")

Check = Callable[[str, tuple[str, ...]], None]


@dataclass(frozen=True, slots=True)
class Filters:
    """Filter keys with their values, each once, in the order of the query."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, key: str) -> tuple[str, ...]:
        """Return the values of a key; none if it is not there."""
        return self.values.get(key, ())

    def without(self, key: str) -> Filters:
        """Return the filters of all other keys."""
        return Filters({k: v for k, v in self.values.items() if k != key})

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return the truth that a key's values spell.

        Raises:
            InvalidSpec: a value is no boolean, or they contradict.
        """
        if key not in self.values:
            return default
        meanings = {_BOOLEANS[value] for value in self.get(key) if value in _BOOLEANS}
        if len(meanings) != 1:
            raise InvalidSpec(f"invalid filter '{key}=[{' '.join(self.get(key))}]'")
        return meanings.pop()

    def matches(self, key: str, *found: str) -> bool:
        """Tell whether a value equals one of `found` or is a regular expression for a part of it, or there is none."""
        values = self.get(key)
        return not values or any(_regex_matches(value, text) for value in values for text in found)

    def names(self, key: str, *found: str) -> bool:
        """Tell whether one of `found` is a value to the letter, or there is none."""
        return not self.get(key) or any(text in self.get(key) for text in found)

    def labels_match(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels pass `label` and `label!`: all of the former are there, and not all of the latter."""
        refused = self.get("label!")
        return _has_all(labels, self.get("label")) and not (refused and _has_all(labels, refused))


NO_FILTERS = Filters()


def decode_filters(query: str, accepted: Mapping[str, Check | None]) -> Filters:
    """Return the filters of a query: `{"key":{"value":true}}`, or `{"key":["value"]}` as old clients send it.

    Args:
        query: JSON text; empty for no filters.
        accepted: keys of the listing, each with a check of its values.

    Raises:
        InvalidSpec: not of this form, a key that is not accepted, or a bad value.
    """
    filters = Filters({key: _values(found) for key, found in _decode(query).items()})
    for key, values in filters.values.items():
        if key not in accepted:
            raise InvalidSpec(f"invalid filter '{key}'")
        check = accepted[key]
        if check is not None:
            check(key, values)
    return filters


def _decode(query: str) -> dict[str, Any]:
    if not query:
        return {}
    try:
        return msgspec.json.decode(query, type=dict[str, dict[str, bool] | list[str] | None])
    except msgspec.MsgspecError as exc:
        raise InvalidSpec("invalid filter") from exc


def _values(found: dict[str, bool] | list[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found or ()))


def _check_boolean(key: str, values: tuple[str, ...]) -> None:
    Filters({key: values}).boolean(key, default=False)


def _check_status(key: str, values: tuple[str, ...]) -> None:
    _check_choice(key, values, "state", [status.value for status in _STATUS_ORDER])


def _check_health(key: str, values: tuple[str, ...]) -> None:
    _check_choice(key, values, "health", _HEALTH)


def _check_choice(key: str, values: tuple[str, ...], what: str, choices: Collection[str]) -> None:
    for value in values:
        if value not in choices:
            raise InvalidSpec(
                f"invalid filter '{key}={value}': invalid value for {what} ({value}): must be one of "
                + ", ".join(choices)
            )


def _check_exit_code(key: str, values: tuple[str, ...]) -> None:
    for value in values:
        if not re.fullmatch(r"[+-]?[0-9]+", value):
            raise InvalidSpec(f"invalid filter '{key}={value}': strconv.Atoi: parsing \"{value}\": invalid syntax")


_STATUS_ORDER = (
    Status.CREATED,
    Status.RUNNING,
    Status.PAUSED,
    Status.RESTARTING,
    Status.REMOVING,
    Status.EXITED,
    Status.DEAD,
)

VOLUME_LIST: dict[str, Check | None] = {"dangling": _check_boolean, "name": None, "driver": None, "label": None}
NETWORK_LIST: dict[str, Check | None] = {
    **dict.fromkeys(("driver", "id", "label", "name", "scope", "type")),
    "dangling": _check_boolean,
}
NETWORK_PRUNE: dict[str, Check | None] = {"label": None, "label!": None, "until": None}
VOLUME_PRUNE: dict[str, Check | None] = {"label": None, "label!": None, "all": _check_boolean}
CONTAINER_LIST: dict[str, Check | None] = {
    **dict.fromkeys(("ancestor", "before", "id", "isolation", "label", "name", "since", "volume", "network")),
    **dict.fromkeys(("publish", "expose")),
    "exited": _check_exit_code,
    "status": _check_status,
    "health": _check_health,
    "is-task": _check_boolean,
}
CONTAINER_PRUNE: dict[str, Check | None] = {"label": None, "label!": None, "until": None}
IMAGE_LIST: dict[str, Check | None] = {
    **dict.fromkeys(("label", "before", "since", "reference", "until")),
    "dangling": _check_boolean,
}
IMAGE_PRUNE: dict[str, Check | None] = {**dict.fromkeys(("label", "label!", "until")), "dangling": _check_boolean}


def volume_matches(volume: Volume, filters: Filters, *, used: bool) -> bool:
    """Tell whether a volume passes `dangling`, `driver`, `label` and `name`.

    Args:
        used: some container refers to it.
    """
    return (
        filters.names("driver", volume.driver)
        and filters.matches("name", volume.name)
        and filters.labels_match(volume.labels or {})
        and filters.boolean("dangling", default=not used) is not used
    )


def image_matches(
    image: Image,
    references: Iterable[str],
    filters: Filters,
    *,
    before_ns: int | None = None,
    since_ns: int | None = None,
) -> bool:
    """Tell whether an image passes `dangling`, `label` and `reference`, and lies between two times.

    Args:
        references: its tags.
        before_ns: the image is older: creation of the image that `before` names, or the time of `until`.
        since_ns: the image is newer: creation of the image that `since` names.
    """
    tags = list(references)
    return (
        filters.boolean("dangling", default=not tags) is (not tags)
        and filters.labels_match(image.config.labels or {})
        and (
            not filters.get("reference")
            or any(_reference_matches(p, t) for p in filters.get("reference") for t in tags)
        )
        and (before_ns is None or image.created_ns < before_ns)
        and (since_ns is None or image.created_ns > since_ns)
    )


def select_containers(
    containers: Iterable[Container],
    filters: Filters,
    *,
    all: bool = False,
    limit: int = 0,
    ancestors: Collection[ImageId] = (),
) -> list[Container]:
    """Return the containers that a listing shows, newest first.

    Args:
        all: those that do not run too; a limit or the filter `status` has the same effect.
        limit: at most so many; 0 or less for no limit.
        ancestors: the images that the filter `ancestor` names, and those made from them.

    Raises:
        NotFound: `before` or `since` names no container.
    """
    newest_first = sorted(containers, key=lambda c: (-c.created_ns, -c.serial))
    every = all or limit > 0 or bool(filters.get("status"))
    shown = [
        c
        for c in _window(newest_first, filters)
        if (every or _runs(c)) and _container_matches(c, filters) and _ancestor_matches(c, filters, ancestors)
    ]
    return shown[:limit] if limit > 0 else shown


def _window(newest_first: list[Container], filters: Filters) -> list[Container]:
    """Return what is older than all of `before` and newer than all of `since`."""
    older = [_position(newest_first, reference) + 1 for reference in filters.get("before")]
    newer = [_position(newest_first, reference) for reference in filters.get("since")]
    return newest_first[max(older, default=0) : min(newer, default=len(newest_first))]


def _position(containers: list[Container], reference: str) -> int:
    for number, container in enumerate(containers):
        if container.id == reference or container.name == reference.removeprefix("/"):
            return number
    raise NotFound(f"No such container: {reference}")


def _runs(container: Container) -> bool:
    return container.state.status in (Status.RUNNING, Status.PAUSED, Status.RESTARTING)


def _container_matches(container: Container, filters: Filters) -> bool:
    ids = filters.get("id")
    return (
        filters.matches("name", container.name, f"/{container.name}")
        and (not ids or any(container.id.startswith(prefix) for prefix in ids))
        and filters.labels_match(container.config.labels or {})
        and filters.names("status", container.state.status.value)
        and filters.names("health", "none")
        and _exit_code_matches(container, filters.get("exited"))
        and filters.names("volume", *(text for m in container.mounts if not m.hidden for text in _volume_names(m)))
        and filters.names("network", _network(container))
        and not filters.boolean("is-task", default=False)
        and not filters.get("publish")
        and not filters.get("expose")
    )


def _ancestor_matches(container: Container, filters: Filters, ancestors: Collection[ImageId]) -> bool:
    return "ancestor" not in filters.values or container.image in ancestors


def _exit_code_matches(container: Container, codes: Collection[str]) -> bool:
    ended = container.state.started_ns > 0 and not _runs(container)
    return not codes or (ended and container.state.exit_code in {int(code) for code in codes})


def _volume_names(mount: MountPoint) -> tuple[str, str]:
    return mount.name or mount.source, mount.destination


def _network(container: Container) -> str:
    mode = container.host_config.network_mode
    return "bridge" if mode in ("", "default") else mode


def _has_all(labels: Mapping[str, str], wanted: Iterable[str]) -> bool:
    return all(_has_label(labels, label) for label in wanted)


def _has_label(labels: Mapping[str, str], label: str) -> bool:
    key, equals, value = label.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _regex_matches(pattern: str, text: str) -> bool:
    if pattern == text:
        return True
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _reference_matches(pattern: str, reference: str) -> bool:
    """Match a tag, with or without `:tag`, against a shell pattern (moby: reference.FamiliarMatch)."""
    head, colon, tag = reference.rpartition(":")
    name = head if colon and "/" not in tag else reference
    return fnmatchcase(reference, pattern) or fnmatchcase(name, pattern)
