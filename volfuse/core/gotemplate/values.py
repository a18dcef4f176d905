"""Values of templates: Go's types for JSON values, and how Go prints them.

| Python | Go |
| --- | --- |
| None | nil |
| bool, int, float, str | bool, int, float64, string |
| list, dict | []interface {}, map[string]interface {} |
| EMPTY_LIST, EMPTY_MAP | a nil slice, a nil map: printed `[]` and `map[]`, `null` as JSON |
| Record | a struct that is printed with its fields' values only |
| Struct | an object whose fields are computed, with methods |
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any, Protocol

__all__ = [
    "EMPTY_LIST",
    "EMPTY_MAP",
    "MISSING",
    "NIL_POINTER",
    "Object",
    "Record",
    "Struct",
    "TextMap",
    "Value",
    "format_float",
    "format_value",
    "is_true",
    "marshal",
    "quote",
    "type_name",
]


Value = Any
"""A value of a template; its types are checked while the template runs."""


class _NilList(list[Value]):
    """A nil slice."""


class _NilMap(dict[str, Value]):
    """A nil map."""


class _NilPointer:
    """A pointer to nothing: printed `<nil>`, where an absent value is `<no value>`."""


class _Missing:
    """No value at all."""


EMPTY_LIST = _NilList()
EMPTY_MAP = _NilMap()
NIL_POINTER = _NilPointer()
MISSING = _Missing()


class TextMap(dict[str, Value]):
    """A map[string]string: a key that it lacks has the empty text."""


class Record(dict[str, Value]):
    """A struct of known fields, in Go's order; printed `{a b}`.

    Attributes:
        omitted_if_empty: fields that JSON leaves out when they are empty.
    """

    def __init__(self, fields: Mapping[str, Value], omitted_if_empty: Collection[str] = ()) -> None:
        super().__init__(fields)
        self.omitted_if_empty = omitted_if_empty


class Object(dict[str, Value]):
    """A map with fields that can be asked for, but are not listed.

    Attributes:
        hidden: these fields.
    """

    def __init__(self, fields: Mapping[str, Value], hidden: Mapping[str, Value]) -> None:
        super().__init__(fields)
        self.hidden = hidden


class Struct(Protocol):
    """An object with computed fields.

    Attributes:
        go_type: the name of its type in errors.
    """

    go_type: str

    def field(self, name: str) -> Value:
        """Return a field's value, or a callable for a method with arguments.

        Raises:
            KeyError: there is no such field.
        """
        ...

    def marshalled(self) -> Mapping[str, Value]:
        """Return what `json` shows."""
        ...


def is_true(value: Value) -> bool:
    """Tell whether Go's `if` takes the value: not the empty one of its type."""
    if isinstance(value, Record):
        return True
    if value is None or isinstance(value, (_NilPointer, _Missing)):
        return False
    if isinstance(value, (bool, int, float, str, list, dict, tuple)):
        return bool(value)
    return True


def type_name(value: Value) -> str:
    """Return the name of the value's type in Go."""
    match value:
        case None | _NilPointer() | _Missing():
            return "<nil>"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case Record():
            return "struct"
        case dict():
            return "map[string]interface {}"
        case list() | tuple():
            return "[]interface {}"
        case _:
            return str(getattr(value, "go_type", type(value).__name__))


def format_value(value: Value, *, quoted: bool = False) -> str:
    """Print like Go's %v; with `quoted`, strings like %q."""
    match value:
        case None | _NilPointer() | _Missing():
            return "%!q(<nil>)" if quoted else "<nil>"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return format_float(value)
        case str():
            return quote(value) if quoted else value
        case Record():
            return "{" + " ".join(format_value(v, quoted=quoted) for v in value.values()) + "}"
        case dict():
            pairs = (f"{format_value(k, quoted=quoted)}:{format_value(value[k], quoted=quoted)}" for k in sorted(value))
            return f"map[{' '.join(pairs)}]"
        case list() | tuple():
            return "[" + " ".join(format_value(v, quoted=quoted) for v in value) + "]"
        case _:
            return "{" + " ".join(format_value(v) for v in value.marshalled().values()) + "}"


def format_float(value: float) -> str:
    """Print like Go's %v of a float64: shortest, exponent from 1e21 on and below 1e-4."""
    if math.isnan(value) or math.isinf(value):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent and 1e-4 <= abs(value) < 1e21:
        return mantissa.removesuffix(".0")
    if 1e-4 <= abs(value) < 1e21:
        return f"{value:.0f}"
    digits, _, power = f"{value:.16e}".partition("e")
    shortest = next(f"{value:.{n}e}" for n in range(17) if float(f"{value:.{n}e}") == value)
    digits, _, power = shortest.partition("e")
    return f"{digits}e{power}"


def quote(text: str) -> str:
    """Write a string as a Go literal in double quotes."""
    escapes = {
        '"': '\\"',
        "\\": "\\\\",
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
    }
    return '"' + "".join(escapes.get(c) or _printable(c) for c in text) + '"'


def _printable(char: str) -> str:
    code = ord(char)
    if char.isprintable():
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def marshal(value: Value) -> str:
    """Encode as Go's encoding/json does: compact, UTF-8; a `Struct` has its keys sorted and `<>&` escaped."""
    match value:
        case _NilList() | _NilMap() | _NilPointer() | _Missing():
            return "null"
        case Record():
            return _object({k: v for k, v in value.items() if v or k not in value.omitted_if_empty})
        case dict():
            return _object(value)
        case list() | tuple():
            return f"[{','.join(marshal(item) for item in value)}]"
        case None | bool() | int() | float() | str():
            text = json.dumps(value, ensure_ascii=False)
            return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        case _:
            text = _object(dict(sorted(value.marshalled().items())))
            return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _object(fields: Mapping[str, Value]) -> str:
    return "{" + ",".join(f"{marshal(key)}:{marshal(value)}" for key, value in fields.items()) + "}"
