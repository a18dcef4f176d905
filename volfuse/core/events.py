"""Events: something that happened to a container, a volume or an image.

An event is a value; `engine.events` keeps and distributes them, the API sends them one JSON line each. The encoding and
the meaning of filters follow Docker (docker-semantics 5.6; moby daemon/events/filter.go).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

__all__ = ["FILTER_KEYS", "Event", "EventType", "encode_event", "event_matches"]

_NS = 1_000_000_000

_NAME_KEYS = ("daemon", "container", "plugin", "volume", "network", "node", "service", "secret", "config")
"""Filters that take a prefix of the actor's id or name."""

_PREFIX_ACTIONS = frozenset({"exec_create", "exec_start", "health_status"})
"""Actions that carry more text behind a colon; a filter that names one of them matches by prefix."""

FILTER_KEYS = frozenset({"type", "event", "scope", "image", "label", *_NAME_KEYS})


class EventType(StrEnum):
    """Kinds of object that events are about."""

    CONTAINER = "container"
    VOLUME = "volume"
    IMAGE = "image"
    NETWORK = "network"
    DAEMON = "daemon"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        action: Docker's verb: `create`, `destroy`, `rename`, `tag`, …
        actor_id: id of the container or image, name of the volume; empty for `prune`.
        attributes: what Docker sends as `Actor.Attributes` (docker-semantics 5.6).
    """

    type: EventType
    action: str
    actor_id: str
    attributes: dict[str, str] = field(default_factory=dict)
    time_ns: int = 0


def encode_event(event: Event) -> bytes:
    """Return the event as one line of JSON, newline included."""
    message: dict[str, Any] = {}
    if event.type in (EventType.CONTAINER, EventType.IMAGE):
        message |= {"status": event.action, "id": event.actor_id}
    if event.type is EventType.CONTAINER and event.attributes.get("image"):
        message["from"] = event.attributes["image"]
    message |= {
        "Type": event.type.value,
        "Action": event.action,
        "Actor": {"ID": event.actor_id, "Attributes": event.attributes},
        "scope": "local",
        "time": event.time_ns // _NS,
        "timeNano": event.time_ns,
    }
    return msgspec.json.encode(message) + b"\n"


def event_matches(event: Event, wanted: Mapping[str, Collection[str]]) -> bool:
    """Tell whether an event passes filters.

    Args:
        wanted: filter key to its values; a key without values passes everything. Values of one key are
            alternatives, except labels, which must all be there. Keys are ANDed.
    """
    return (
        _action_matches(event.action, wanted.get("event", ()))
        and _exact(wanted.get("type", ()), event.type.value)
        and _exact(wanted.get("scope", ()), "local")
        and _image_matches(event, wanted.get("image", ()))
        and all(_has_label(event.attributes, label) for label in wanted.get("label", ()))
        and all(_name_matches(event, wanted.get(key, ())) for key in _NAME_KEYS)
    )


def _action_matches(action: str, wanted: Collection[str]) -> bool:
    if _PREFIX_ACTIONS.intersection(wanted):
        return any(action.startswith(value) for value in wanted)
    return _exact(wanted, action)


def _exact(wanted: Collection[str], *found: str) -> bool:
    return not wanted or any(value in wanted for value in found)


def _name_matches(event: Event, wanted: Collection[str]) -> bool:
    names = (event.actor_id, event.attributes.get("name", ""))
    return not wanted or any(name.startswith(value) for value in wanted for name in names)


def _image_matches(event: Event, wanted: Collection[str]) -> bool:
    name = event.attributes.get("name" if event.type is EventType.IMAGE else "image", "")
    return _exact(wanted, event.actor_id, name, _without_tag(name))


def _without_tag(reference: str) -> str:
    head, colon, tag = reference.rpartition(":")
    return head if colon and "/" not in tag else reference


def _has_label(attributes: Mapping[str, str], label: str) -> bool:
    key, equals, value = label.partition("=")
    return key in attributes and (not equals or attributes[key] == value)
