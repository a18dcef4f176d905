"""Functions of templates: Go's own and those that Docker adds (docker/cli templates/templates.go)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote_plus

from volfuse.core.gotemplate.errors import CallError
from volfuse.core.gotemplate.printf import sprint, sprintf, sprintln
from volfuse.core.gotemplate.values import MISSING, TextMap, Value, format_value, is_true, marshal, type_name

__all__ = ["FUNCTIONS", "HEADER_FUNCTIONS", "LAZY"]

Callee = Callable[..., Value]

LAZY = frozenset(("and", "or"))
"""They see their arguments one by one and stop early."""


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if value is None:
            raise CallError("index of untyped nil")
        if isinstance(value, dict):
            if not isinstance(key, str):
                raise CallError(f"value has type {type_name(key)}; should be string")
            value = value.get(key, "" if isinstance(value, TextMap) else None)
        elif isinstance(value, (list, tuple, str)):
            value = _item(value, key)
        else:
            raise CallError(f"can't index item of type {type_name(value)}")
    return value


def _item(value: Value, key: Value) -> Value:
    if key is None:
        raise CallError("cannot index slice/array with nil")
    if not _is_integer(key):
        raise CallError(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key < len(value):
        raise CallError(f"index out of range: {key}")
    return value.encode()[key] if isinstance(value, str) else value[key]


def _slice(value: Value, *places: Value) -> Value:
    if value is None:
        raise CallError("slice of untyped nil")
    if len(places) > 3:
        raise CallError(f"too many slice indexes: {len(places)}")
    if not isinstance(value, (str, list, tuple)):
        raise CallError(f"can't slice item of type {type_name(value)}")
    if isinstance(value, str) and len(places) == 3:
        raise CallError("cannot 3-index slice a string")
    for place in places:
        if not _is_integer(place):
            raise CallError(f"cannot index slice/array with type {type_name(place)}")
        if not 0 <= place <= len(value):
            raise CallError(f"index out of range: {place}")
    low, high = [*places, *[0, len(value)][len(places) :]][:2]
    if low > high:
        raise CallError(f"invalid slice index: {low} > {high}")
    return value[low:high]


def _len(value: Value) -> int:
    if isinstance(value, str):
        return len(value.encode(errors="surrogateescape"))
    if isinstance(value, (list, dict, tuple)):
        return len(value)
    raise CallError("len of nil pointer" if value is None else f"len of type {type_name(value)}")


def _is_integer(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind(value: Value) -> str:
    if isinstance(value, (list, dict, tuple)) or hasattr(value, "go_type"):
        raise CallError("non-comparable type " + format_value(value) + ": " + type_name(value))
    return type_name(value)


def _eq(first: Value, *others: Value) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    return any(_same(first, other) for other in others)


def _same(first: Value, other: Value) -> bool:
    kinds = {_kind(first), _kind(other)}
    if len(kinds) > 1 and "<nil>" not in kinds:
        raise CallError("incompatible types for comparison")
    return bool(first == other) if len(kinds) == 1 else False


def _less(first: Value, second: Value) -> bool:
    kinds = {_kind(first), _kind(second)}
    if kinds & {"bool", "<nil>"}:
        raise CallError("invalid type for comparison")
    if len(kinds) > 1:
        raise CallError("incompatible types for comparison")
    return bool(first < second)


def _split(text: Value, separator: Value) -> list[str]:
    text, separator = _text(text), _text(separator)
    return text.split(separator) if separator else list(text)


def _join(values: Value, separator: Value) -> str:
    if not isinstance(values, (list, tuple)):
        raise CallError(f"wrong type for value; expected []string; got {type_name(values)}")
    return str(_text(separator).join(_text(v) for v in values))


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise CallError(f"wrong type for value; expected string; got {type_name(value)}")
    return value


def _title(text: Value) -> str:
    """Raise the first letter of each word, as strings.Title does."""
    found, previous = "", " "
    for char in _text(text):
        boundary = not (previous.isalnum() or previous == "_" or previous == "'")
        found += char.upper() if boundary else char
        previous = char
    return found


def _pad(text: Value, before: Value, after: Value) -> str:
    return " " * before + text + " " * after if _text(text) else ""


def _truncate(text: Value, length: Value) -> str:
    return _text(text)[:length] if length >= 0 else text


def _html(*values: Value) -> str:
    table = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
    return "".join(table.get(c, c) for c in sprint(*values))


def _js(*values: Value) -> str:
    table = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    return "".join(table.get(c) or (f"\\u{ord(c):04X}" if ord(c) < 0x20 else c) for c in sprint(*values))


def _call(function: Value, *arguments: Value) -> Value:
    if not callable(function):
        raise CallError(f"non-function {function} of type {type_name(function)}")
    return function(*arguments)


def _not(value: Value) -> bool:
    return not is_true(value)


FUNCTIONS: Mapping[str, Callee] = {
    "and": lambda *values: values[-1],
    "or": lambda *values: values[-1],
    "not": _not,
    "call": _call,
    "index": _index,
    "slice": _slice,
    "len": _len,
    "print": sprint,
    "printf": lambda template, *values: sprintf(_text(template), *values),
    "println": sprintln,
    "html": _html,
    "js": _js,
    "urlquery": lambda *values: quote_plus(sprint(*values)),
    "eq": _eq,
    "ne": lambda first, second: not _same(first, second),
    "lt": _less,
    "le": lambda first, second: _less(first, second) or _same(first, second),
    "gt": lambda first, second: not (_less(first, second) or _same(first, second)),
    "ge": lambda first, second: not _less(first, second),
    "json": lambda value: marshal(None if value is MISSING else value),
    "split": _split,
    "join": _join,
    "title": _title,
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "pad": _pad,
    "truncate": _truncate,
}


def _unchanged(value: Value, *_: Value) -> Value:
    return value


HEADER_FUNCTIONS: Mapping[str, Callee] = {
    **FUNCTIONS,
    **dict.fromkeys(("json", "split", "join", "title", "lower", "upper", "truncate"), _unchanged),
}
"""For the header of a table: a column keeps its title whatever is done to its values."""
