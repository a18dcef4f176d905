"""The syntax tree of a template; `str()` of a node is its source as Go's errors show it."""

from __future__ import annotations

from dataclasses import dataclass, field

from volfuse.core.gotemplate.values import quote

__all__ = [
    "Action",
    "Boolean",
    "Break",
    "Chain",
    "Command",
    "Continue",
    "Dot",
    "Field",
    "Function",
    "If",
    "Nil",
    "Node",
    "Number",
    "Operand",
    "Pipe",
    "Range",
    "Statement",
    "Text",
    "Variable",
    "With",
]


@dataclass(frozen=True, slots=True)
class Node:
    """Something at an offset of the source."""

    offset: int


@dataclass(frozen=True, slots=True)
class Dot(Node):
    """`.`"""

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Nil(Node):
    """`nil`"""

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Boolean(Node):
    """`true`, `false`"""

    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number or a character literal."""

    source: str
    value: int | float

    def __str__(self) -> str:
        return self.source


@dataclass(frozen=True, slots=True)
class Text(Node):
    """Plain text, or a string literal inside an action."""

    value: str
    source: str = ""

    def __str__(self) -> str:
        return self.source or quote(self.value)


@dataclass(frozen=True, slots=True)
class Field(Node):
    """`.A.B`"""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """`$x.A.B`; the first name has the dollar sign."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Function(Node):
    """The name of a function."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """Fields of an operand: `(index . 0).A`"""

    operand: Operand
    names: tuple[str, ...]

    def __str__(self) -> str:
        inner = f"({self.operand})" if isinstance(self.operand, Pipe) else str(self.operand)
        return inner + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Command(Node):
    """Operands side by side: a function or method and its arguments, or one value."""

    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join(f"({o})" if isinstance(o, Pipe) else str(o) for o in self.operands)


@dataclass(frozen=True, slots=True)
class Pipe(Node):
    """Commands joined by `|`, with the variables that take the result."""

    variables: tuple[Variable, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        names = ", ".join(str(v) for v in self.variables)
        left = f"{names} {'=' if self.assigns else ':='} " if names else ""
        return left + " | ".join(str(c) for c in self.commands)


Operand = Dot | Nil | Boolean | Number | Text | Field | Variable | Function | Chain | Pipe


@dataclass(frozen=True, slots=True)
class Action(Node):
    """`{{pipe}}`"""

    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(frozen=True, slots=True)
class _Branch(Node):
    pipe: Pipe
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class If(_Branch):
    """`{{if}}`"""


@dataclass(frozen=True, slots=True)
class With(_Branch):
    """`{{with}}`"""


@dataclass(frozen=True, slots=True)
class Range(_Branch):
    """`{{range}}`"""


@dataclass(frozen=True, slots=True)
class Break(Node):
    """`{{break}}`"""


@dataclass(frozen=True, slots=True)
class Continue(Node):
    """`{{continue}}`"""


Statement = Text | Action | If | With | Range | Break | Continue
