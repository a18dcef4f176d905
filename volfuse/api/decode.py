"""Reading requests: query parameters, filters and JSON bodies.

Bodies are decoded as Go does it, since clients rely on that: unknown fields are ignored, and `null` stands for the
zero value of any type (docker-py sends `"Hostname": null`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TypeVar

import msgspec
import msgspec.inspect
from aiohttp import hdrs, web

from volfuse.core.filters import Check, Filters, decode_filters
from volfuse.errors import InvalidSpec

__all__ = ["boolean", "filters_of", "integer", "json_body", "parse_json", "required", "timestamp_ns"]

T = TypeVar("T")

_FALSE = frozenset({"", "0", "no", "false", "none"})
_STRSLICES = frozenset({"Cmd", "Entrypoint", "Shell", "CapAdd", "CapDrop"})
"""Fields that may be one string instead of a list (moby api/types/strslice)."""
_NS = 1_000_000_000


def boolean(request: web.Request, key: str, *, default: bool = False) -> bool:
    """Return a query parameter as Docker reads booleans: anything that is not plainly false is true."""
    value = request.query.get(key)
    return default if value is None else value.strip().lower() not in _FALSE


def integer(request: web.Request, key: str, *, default: int = 0) -> int:
    """Return a whole number of the query.

    Raises:
        InvalidSpec: it is not one.
    """
    value = request.query.get(key, "")
    if not value:
        return default
    try:
        return int(value)
    except ValueError:
        raise InvalidSpec(f"bad parameter {key}: {value!r} is not a whole number") from None


def required(request: web.Request, key: str) -> str:
    """Return a query parameter that must not be empty.

    Raises:
        InvalidSpec: it is missing or empty.
    """
    value = request.query.get(key, "")
    if not value:
        raise InvalidSpec(f"bad parameter: {key} must not be empty")
    return value


def timestamp_ns(request: web.Request, key: str) -> int | None:
    """Return a time of the query in nanoseconds: seconds since the epoch, with up to nine decimals.

    Raises:
        InvalidSpec: it is written otherwise.
    """
    value = request.query.get(key, "")
    if not value:
        return None
    seconds, _, decimals = value.partition(".")
    try:
        return int(seconds) * _NS + int(decimals[:9].ljust(9, "0"))
    except ValueError:
        raise InvalidSpec(f"bad parameter {key}: {value!r} is not a Unix time") from None


def filters_of(request: web.Request, accepted: Mapping[str, Check | None]) -> Filters:
    """Return the filters of a request, of which the route accepts those keys.

    Raises:
        InvalidSpec: not of Docker's form, another key, or a bad value.
    """
    return decode_filters(request.query.get("filters", ""), accepted)


async def json_body(request: web.Request, kind: type[T], *, optional: bool = False) -> T:
    """Return the body of a request as a value.

    Args:
        optional: an empty body stands for an empty object.

    Raises:
        InvalidSpec: not declared as JSON, not JSON, or a field of a wrong type, which the text names.
    """
    body = await request.read()
    if not body:
        if optional:
            return parse_json(b"{}", kind)
        raise InvalidSpec("invalid JSON: got EOF while reading request body")
    if request.content_type != "application/json":
        given = request.headers.get(hdrs.CONTENT_TYPE, "")
        raise InvalidSpec(f"unsupported Content-Type header ({given}): must be 'application/json'")
    return parse_json(body, kind)


def parse_json(body: bytes, kind: type[T]) -> T:
    """Decode JSON to a value of a type, `null` standing for any zero value.

    Raises:
        InvalidSpec: not JSON, or a field of a wrong type.
    """
    try:
        return msgspec.convert(_without_nulls(msgspec.json.decode(body), _shape(kind)), kind)  # type: ignore[arg-type]
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise InvalidSpec(f"invalid JSON: {exc}") from exc
    except RecursionError as exc:
        raise InvalidSpec("invalid JSON: nested too deeply") from exc


@functools.cache
def _shape(kind: type) -> msgspec.inspect.Type:
    """Return what a type is made of; to find that out takes longer than a container's creation."""
    return msgspec.inspect.type_info(kind)


def _without_nulls(value: object, info: msgspec.inspect.Type) -> object:
    match info, value:
        case msgspec.inspect.UnionType(types=types), _ if value is not None:
            return _without_nulls(value, next(t for t in types if not isinstance(t, msgspec.inspect.NoneType)))
        case msgspec.inspect.StructType(fields=fields), dict():
            known = {field.encode_name: field.type for field in fields}
            given = {k: v for k, v in value.items() if k in known and v is not None}
            listed = {k: [v] if k in _STRSLICES and isinstance(v, str) else v for k, v in given.items()}
            return {k: _without_nulls(v, known[k]) for k, v in listed.items()}
        case msgspec.inspect.ListType(item_type=item), list():
            return [_without_nulls(v, item) for v in value]
        case msgspec.inspect.DictType(value_type=kind), dict():
            return {k: _zero(kind) if v is None else _without_nulls(v, kind) for k, v in value.items()}
        case _:
            return value


def _zero(info: msgspec.inspect.Type) -> object:
    match info:
        case msgspec.inspect.StrType():
            return ""
        case msgspec.inspect.DictType():
            return {}
        case msgspec.inspect.ListType():
            return []
        case _:
            return None
