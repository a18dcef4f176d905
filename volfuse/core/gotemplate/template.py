"""Running a template, by the rules of Go's text/template/exec.go."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

from volfuse.core.gotemplate import nodes as n
from volfuse.core.gotemplate.errors import CallError, ExecutionError
from volfuse.core.gotemplate.functions import FUNCTIONS, LAZY
from volfuse.core.gotemplate.parser import parse
from volfuse.core.gotemplate.values import (
    MISSING,
    NIL_POINTER,
    Object,
    Record,
    TextMap,
    Value,
    format_value,
    is_true,
    quote,
    type_name,
)

__all__ = ["Template"]

_ABSENT = object()
"""No value comes down the pipe."""


class Template:
    """A parsed template; may be executed often.

    Args:
        text: the template.
        functions: what it may call; Docker's by default.
        name: shown in errors.
        strict: a key that a map lacks is an error; otherwise it gives no value.

    Raises:
        ParseError: with Go's text, `template: :1: …`.
    """

    def __init__(
        self,
        text: str,
        functions: Mapping[str, Callable[..., Value]] = FUNCTIONS,
        name: str = "",
        *,
        strict: bool = True,
    ) -> None:
        self.text = text
        self.name = name
        self.functions = functions
        self.strict = strict
        self._body = parse(text, functions, name)

    def execute(self, data: Value) -> str:
        """Return the text for some data.

        Raises:
            ExecutionError: with Go's text, `template: :1:2: executing …`.
        """
        run = _Run(self, data)
        run.walk_all(data, self._body)
        return "".join(run.output)


class _Break(Exception):
    """Leave the range."""


class _Continue(Exception):
    """Go on with the range's next item."""


class _Run:
    """One execution. `_variables` is a stack; a block pops what it pushed."""

    def __init__(self, template: Template, data: Value) -> None:
        self._template = template
        self._variables: list[tuple[str, Value]] = [("$", data)]
        self._node: n.Node = n.Dot(0)
        self.output: list[str] = []

    # statements

    def walk_all(self, dot: Value, statements: tuple[n.Statement, ...]) -> None:
        for statement in statements:
            self._walk(dot, statement)

    def _walk(self, dot: Value, statement: n.Statement) -> None:
        match statement:
            case n.Text():
                self.output.append(statement.value)
            case n.Action():
                value = self._pipeline(dot, statement.pipe)
                if not statement.pipe.variables:
                    self.output.append(self._printed(value))
            case n.If() | n.With():
                with self._scope():
                    value = self._pipeline(dot, statement.pipe)
                    if is_true(value):
                        self.walk_all(value if isinstance(statement, n.With) else dot, statement.body)
                    else:
                        self.walk_all(dot, statement.otherwise)
            case n.Range():
                with self._scope():
                    self._range(dot, statement)
            case n.Break():
                raise _Break
            case n.Continue():
                raise _Continue

    def _range(self, dot: Value, statement: n.Range) -> None:
        value = self._pipeline(dot, statement.pipe, in_range=True)
        items = self._items(value)
        mark = len(self._variables)
        for key, item in items:
            self._set_range_variables(statement.pipe, key, item)
            try:
                self.walk_all(item, statement.body)
            except _Continue:
                continue
            except _Break:
                break
            finally:
                del self._variables[mark:]
        if not items:
            self.walk_all(dot, statement.otherwise)

    def _items(self, value: Value) -> list[tuple[Value, Value]]:
        match value:
            case None:
                return []
            case bool():
                pass
            case int():
                return [(i, i) for i in range(value)]
            case list() | tuple():
                return list(enumerate(value))
            case dict() if not isinstance(value, Record):
                return [(key, value[key]) for key in sorted(value)]
        if value is MISSING or value is NIL_POINTER:
            return []
        raise self._fault(f"range can't iterate over {format_value(value)}")

    def _set_range_variables(self, pipe: n.Pipe, key: Value, item: Value) -> None:
        if len(pipe.variables) == 1:
            self._assign(pipe, pipe.variables[0], item)
        elif pipe.variables:
            self._assign(pipe, pipe.variables[0], key)
            self._assign(pipe, pipe.variables[1], item)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        mark = len(self._variables)
        try:
            yield
        finally:
            del self._variables[mark:]

    def _printed(self, value: Value) -> str:
        if value is None or value is MISSING:
            return "<no value>"
        return format_value(value)

    # pipelines

    def _pipeline(self, dot: Value, pipe: n.Pipe, *, in_range: bool = False) -> Value:
        self._node = pipe
        value: Value = _ABSENT
        for command in pipe.commands:
            value = self._command(dot, command, value)
        if len(pipe.variables) == 1 and not in_range:
            self._assign(pipe, pipe.variables[0], value)
        return value

    def _assign(self, pipe: n.Pipe, variable: n.Variable, value: Value) -> None:
        name = variable.names[0]
        if not pipe.assigns:
            self._variables.append((name, value))
            return
        place = max(i for i, (known, _) in enumerate(self._variables) if known == name)
        self._variables[place] = (name, value)

    def _command(self, dot: Value, command: n.Command, final: Value) -> Value:
        first = command.operands[0]
        arguments = command.operands[1:]
        match first:
            case n.Field() | n.Variable() | n.Chain():
                return self._path(dot, first, arguments, final)
            case n.Function():
                self._node = command if first.name in self._template.functions else first
                return self._function(dot, command, first, final)
            case n.Nil():
                self._node = first
                self._fail("nil is not a command")
        self._node = first
        if arguments or final is not _ABSENT:
            self._fail(f"can't give argument to non-function {first}")
        return self._value(dot, first)

    def _value(self, dot: Value, operand: n.Operand) -> Value:
        self._node = operand
        match operand:
            case n.Dot():
                return dot
            case n.Nil():
                return None
            case n.Boolean() | n.Number() | n.Text():
                return operand.value
            case n.Field() | n.Variable() | n.Chain():
                return self._path(dot, operand, (), _ABSENT)
            case n.Function():
                return self._function(dot, n.Command(operand.offset, (operand,)), operand, _ABSENT)
            case n.Pipe():
                return self._pipeline(dot, operand)

    def _path(
        self, dot: Value, operand: n.Field | n.Variable | n.Chain, arguments: tuple[n.Operand, ...], final: Value
    ) -> Value:
        match operand:
            case n.Field():
                value, names = dot, operand.names
            case n.Variable():
                value, names = self._variable(operand.names[0]), operand.names[1:]
            case n.Chain():
                value, names = self._value(dot, operand.operand), operand.names
        self._node = operand
        if not names and (arguments or final is not _ABSENT):
            self._fail(f"can't give argument to non-function {operand}")
        for place, name in enumerate(names):
            last = place == len(names) - 1
            value = self._field(dot, value, name, operand, arguments if last else (), final if last else _ABSENT)
        return value

    def _variable(self, name: str) -> Value:
        return next(value for known, value in reversed(self._variables) if known == name)

    def _field(
        self, dot: Value, receiver: Value, name: str, node: n.Node, arguments: tuple[n.Operand, ...], final: Value
    ) -> Value:
        self._node = node
        given = bool(arguments) or final is not _ABSENT
        if isinstance(receiver, dict):
            if name in receiver:
                value = receiver[name]
            elif isinstance(receiver, Object) and name in receiver.hidden:
                value = receiver.hidden[name]
            elif isinstance(receiver, Record):
                self._fail(f"can't evaluate field {name} in type {type_name(receiver)}")
            elif self._template.strict and not isinstance(receiver, TextMap):
                self._fail(f"map has no entry for key {quote(name)}")
            else:
                value = MISSING
        elif hasattr(receiver, "field"):
            try:
                value = receiver.field(name)
            except KeyError:
                self._fail(f"can't evaluate field {name} in type {type_name(receiver)}")
            if callable(value):
                values = [self._value(dot, a) for a in arguments] + ([] if final is _ABSENT else [final])
                return self._called(name, value, values, node)
        elif receiver is None or receiver is MISSING or receiver is NIL_POINTER:
            self._fail(f"nil pointer evaluating interface {{}}.{name}")
        else:
            self._fail(f"can't evaluate field {name} in type interface {{}}")
        if given:
            self._node = node
            self._fail(f"{name} is not a method but has arguments")
        return value

    def _function(self, dot: Value, command: n.Command, function: n.Function, final: Value) -> Value:
        callee = self._template.functions[function.name]
        operands = command.operands[1:]
        if function.name in LAZY:
            return self._short_circuit(dot, command, function.name, operands, final)
        values = [self._value(dot, operand) for operand in operands]
        if final is not _ABSENT:
            values.append(final)
        return self._called(function.name, callee, values, command)

    def _short_circuit(
        self, dot: Value, command: n.Command, name: str, operands: tuple[n.Operand, ...], final: Value
    ) -> Value:
        if not operands and final is _ABSENT:
            self._node = command
            self._fail(f"wrong number of args for {name}: want at least 1 got 0")
        value: Value = final
        for operand in operands:
            value = self._value(dot, operand)
            if is_true(value) == (name == "or"):
                return value
        return value if final is _ABSENT else final

    def _called(self, name: str, callee: Callable[..., Value], values: list[Value], node: n.Node) -> Value:
        self._node = node
        low, high = _arity(callee)
        if high is None and len(values) < low:
            self._fail(f"wrong number of args for {name}: want at least {low} got {len(values)}")
        if high is not None and not low <= len(values) <= high:
            self._fail(f"wrong number of args for {name}: want {high} got {len(values)}")
        try:
            return callee(*values)
        except CallError as fault:
            self._fail(f"error calling {name}: {fault}")

    def _fail(self, message: str) -> NoReturn:
        raise self._fault(message)

    def _fault(self, message: str) -> ExecutionError:
        offset, text = self._node.offset, self._template.text
        line = text.count("\n", 0, offset) + 1
        column = len(text[text.rfind("\n", 0, offset) + 1 : offset].encode(errors="surrogateescape"))
        shown = str(self._node)
        if len(shown) > 20:
            shown = f"{shown[:20]}..."
        name = self._template.name
        return ExecutionError(f'template: {name}:{line}:{column}: executing "{name}" at <{shown}>: {message}')


def _arity(callee: Callable[..., Value]) -> tuple[int, int | None]:
    parameters = inspect.signature(callee).parameters.values()
    fixed = [p for p in parameters if p.kind is not p.VAR_POSITIONAL]
    return len(fixed), None if len(fixed) < len(parameters) else len(fixed)
