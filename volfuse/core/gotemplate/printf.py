"""Go's fmt.Sprintf, Sprint and Sprintln for template values."""

from __future__ import annotations

import re

from volfuse.core.gotemplate.values import Value, format_float, format_value, marshal, quote, type_name

__all__ = ["sprint", "sprintf", "sprintln"]

_DIRECTIVE = re.compile(r"%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?(.)?", re.S)
_FLOAT_VERBS = frozenset("eEfFgG")
_INTEGER_FORMATS = {"d": "d", "b": "b", "o": "o", "x": "x", "X": "X"}


def sprint(*values: Value) -> str:
    """Join values, with a space between two that are no strings."""
    text = ""
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            text += " "
        text += format_value(value)
    return text


def sprintln(*values: Value) -> str:
    """Join values with spaces, and end the line."""
    return " ".join(format_value(v) for v in values) + "\n"


def sprintf(template: str, *values: Value) -> str:
    """Format values; what does not fit is said in the result, as Go does."""
    arguments = list(values)
    used = 0

    def take() -> Value:
        nonlocal used
        used += 1
        return arguments[used - 1]

    def expand(found: re.Match[str]) -> str:
        flags, width, precision, verb = found.groups()
        if verb is None:
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        if width == "*":
            width = str(take()) if used < len(arguments) else None
            if width and width.startswith("-"):
                flags, width = flags + "-", width[1:]
        if precision == "*":
            precision = str(take()) if used < len(arguments) else None
        elif precision is None and "." in found[0]:
            precision = "0"
        if used >= len(arguments):
            return f"%!{verb}(MISSING)"
        return _padded(_formatted(verb, flags, precision, take()), flags, int(width or 0), verb)

    text = _DIRECTIVE.sub(expand, template)
    if used < len(arguments):
        extra = ", ".join(f"{type_name(v)}={format_value(v)}" for v in arguments[used:])
        text += f"%!(EXTRA {extra})"
    return text


def _padded(text: str, flags: str, width: int, verb: str) -> str:
    if len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and not text.startswith("%!"):
        sign = text[:1] if text[:1] in ("+", "-") and verb not in "sqv" else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _formatted(verb: str, flags: str, precision: str | None, value: Value) -> str:
    if verb == "v":
        return _general(flags, value)
    if verb == "T":
        return type_name(value)
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(_formatted(verb, flags, precision, v) for v in value) + "]"
    if isinstance(value, dict):
        pairs = (
            f"{_formatted(verb, flags, precision, k)}:{_formatted(verb, flags, precision, value[k])}"
            for k in sorted(value)
        )
        return f"map[{' '.join(pairs)}]"
    text = _scalar(verb, flags, precision, value)
    if text is not None:
        return text
    if type_name(value) == "<nil>":
        return f"%!{verb}(<nil>)"
    return f"%!{verb}({type_name(value)}={format_value(value)})"


def _general(flags: str, value: Value) -> str:
    if "#" in flags:
        return quote(value) if isinstance(value, str) else marshal(value)
    if "+" in flags and isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return f"+{format_value(value)}"
    return format_value(value)


def _scalar(verb: str, flags: str, precision: str | None, value: Value) -> str | None:
    match value:
        case bool():
            return format_value(value) if verb == "t" else None
        case int():
            return _integer(verb, flags, value)
        case float():
            return _float(verb, flags, precision, value)
        case str():
            return _string(verb, flags, precision, value)
    return None


def _string(verb: str, flags: str, precision: str | None, value: str) -> str | None:
    cut = value if precision is None else value[: int(precision)]
    match verb:
        case "s":
            return cut
        case "q":
            return f"`{cut}`" if "#" in flags and "`" not in cut else quote(cut)
        case "x" | "X":
            separator = " " if " " in flags else ""
            digits = separator.join(f"{byte:02x}" for byte in cut.encode(errors="surrogateescape"))
            return digits if verb == "x" else digits.upper()
    return None


def _integer(verb: str, flags: str, value: int) -> str | None:
    sign = "+" if "+" in flags else " " if " " in flags else ""
    if verb in _INTEGER_FORMATS:
        mark = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
        digits = format(abs(value), _INTEGER_FORMATS[verb])
        return ("-" if value < 0 else sign) + mark + digits
    match verb:
        case "c":
            return chr(value)
        case "q":
            return "'" + quote(chr(value))[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
        case "U":
            return f"U+{value:04X}"
        case "O":
            return f"0o{value:o}"
    return None


def _float(verb: str, flags: str, precision: str | None, value: float) -> str | None:
    if verb not in _FLOAT_VERBS:
        return None
    sign = "+" if "+" in flags else ""
    if verb in "gG" and precision is None:
        return (sign if value >= 0 else "") + format_float(value)
    return format(value, f"{sign}.{precision or (6 if precision is None else 0)}{verb}")
