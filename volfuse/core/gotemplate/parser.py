"""Tokens to a syntax tree, by the rules of Go's text/template/parse/parse.go."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from typing import NoReturn

from volfuse.core.gotemplate import nodes as n
from volfuse.core.gotemplate.errors import ParseError
from volfuse.core.gotemplate.lexer import Kind, Token, tokens
from volfuse.core.gotemplate.values import quote

__all__ = ["parse"]

_BRANCHES: dict[str, type[n.If] | type[n.With] | type[n.Range]] = {"if": n.If, "with": n.With, "range": n.Range}
_UNSUPPORTED = ("block", "define", "template")
_LITERALS = (Kind.STRING, Kind.RAW_STRING, Kind.CHAR, Kind.NUMBER)


def parse(text: str, functions: Collection[str], name: str = "") -> tuple[n.Statement, ...]:
    """Return the statements of a template.

    Args:
        text: the template.
        functions: names that may be called.
        name: of the template, in errors.

    Raises:
        ParseError: with Go's text.
    """
    try:
        return _Parser(tokens(text), functions).template()
    except ParseError as fault:
        if name:
            raise ParseError(str(fault).replace("template: :", f"template: {name}:", 1)) from None
        raise


class _Parser:
    """One pass over the tokens. `_scope` holds the variables that are known at this point."""

    def __init__(self, found: Iterator[Token], functions: Collection[str]) -> None:
        self._source = found
        self._tokens: list[Token] = []
        self._at = 0
        self._functions = functions
        self._scope = ["$"]
        self._ranges = 0

    def template(self) -> tuple[n.Statement, ...]:
        statements, stop = self._list(top=True)
        if stop is not None:
            self._fail(f"unexpected {{{{{stop.text}}}}}", stop)
        return statements

    # statements

    def _list(self, *, top: bool = False) -> tuple[tuple[n.Statement, ...], Token | None]:
        """Read statements up to `{{end}}`, `{{else` or the end; the word that stopped it is not consumed."""
        found: list[n.Statement] = []
        while (token := self._peek()).kind is not Kind.END:
            if token.kind is Kind.TEXT:
                found.append(n.Text(token.offset, self._next().text))
                continue
            self._next()
            word = self._peek_word()
            if word.kind is Kind.IDENTIFIER and word.text in ("end", "else"):
                return tuple(found), word
            found.append(self._action(word))
        if not top:
            self._fail("unexpected EOF")
        return tuple(found), None

    def _action(self, word: Token) -> n.Statement:
        if word.kind is Kind.IDENTIFIER:
            if word.text in _BRANCHES:
                self._next_word()
                return self._branch(word)
            if word.text in ("break", "continue"):
                return self._jump(word)
            if word.text in _UNSUPPORTED:
                self._fail(f"unexpected {word} in command", word)
        return n.Action(word.offset, self._pipeline("command", Kind.RIGHT))

    def _jump(self, word: Token) -> n.Statement:
        self._next_word()
        if (token := self._next_word()).kind is not Kind.RIGHT:
            self._fail(f"unexpected {token} in {{{{{word.text}}}}}", token)
        if not self._ranges:
            self._fail(f"{{{{{word.text}}}}} outside {{{{range}}}}", word)
        return n.Break(word.offset) if word.text == "break" else n.Continue(word.offset)

    def _branch(self, word: Token) -> n.Statement:
        mark = len(self._scope)
        pipe = self._pipeline(word.text, Kind.RIGHT)
        self._ranges += word.text == "range"
        body, stop = self._list()
        self._ranges -= word.text == "range"
        otherwise: tuple[n.Statement, ...] = ()
        if stop is not None and stop.text == "else":
            otherwise = self._else(word)
        else:
            self._end()
        del self._scope[mark:]
        return _BRANCHES[word.text](word.offset, pipe, body, otherwise)

    def _else(self, word: Token) -> tuple[n.Statement, ...]:
        self._next_word()
        follow = self._peek_word()
        if follow.kind is Kind.IDENTIFIER and follow.text == word.text and word.text in ("if", "with"):
            self._next_word()
            return (self._branch(follow),)
        if follow.kind is not Kind.RIGHT:
            self._fail(f"unexpected {follow} in else", follow)
        self._next_word()
        statements, stop = self._list()
        if stop is not None and stop.text == "else":
            self._fail("expected end; found {{else}}", stop)
        self._end()
        return statements

    def _end(self) -> None:
        self._next_word()
        if (token := self._next_word()).kind is not Kind.RIGHT:
            self._fail(f"unexpected {token} in end", token)

    # pipelines

    def _pipeline(self, context: str, closer: Kind) -> n.Pipe:
        start = self._peek_word()
        variables, assigns = self._declarations(context)
        commands: list[n.Command] = []
        while True:
            token = self._peek_word()
            if token.kind is closer:
                self._next_word()
                self._check(commands, context)
                return n.Pipe(start.offset, variables, assigns, tuple(commands))
            if token.kind in (
                Kind.PIPE,
                Kind.RIGHT,
                Kind.CLOSE,
                Kind.COMMA,
                Kind.DECLARE,
                Kind.ASSIGN,
                Kind.CHARACTER,
                Kind.END,
            ):
                self._fail(f"unexpected {token} in {context}", token)
            commands.append(self._command())

    def _declarations(self, context: str) -> tuple[tuple[n.Variable, ...], bool]:
        """Read `$x :=`, `$x =` or, for a range, `$i, $x :=`."""
        mark, names = self._at, []
        while (token := self._peek_word()).kind is Kind.VARIABLE:
            self._next_word()
            names.append(n.Variable(token.offset, (token.text,)))
            follow = self._peek_word()
            if follow.kind in (Kind.DECLARE, Kind.ASSIGN):
                self._next_word()
                if follow.kind is Kind.DECLARE:
                    self._scope += [v.names[0] for v in names]
                else:
                    for variable in names:
                        self._known(variable.names[0], follow)
                return tuple(names), follow.kind is Kind.ASSIGN
            if follow.kind is Kind.COMMA and context == "range" and len(names) == 1:
                self._next_word()
                continue
            if follow.kind is Kind.COMMA:
                self._fail(f"too many declarations in {context}", follow)
            break
        self._at = mark
        return (), False

    def _check(self, commands: list[n.Command], context: str) -> None:
        if not commands:
            self._fail(f"missing value for {context}")
        for place, command in enumerate(commands[1:], 2):
            if isinstance(command.operands[0], (n.Boolean, n.Dot, n.Nil, n.Number, n.Text)):
                self._fail(f"non executable command in pipeline stage {place}")

    def _command(self) -> n.Command:
        operands: list[n.Operand] = []
        start = self._peek_word()
        while True:
            self._peek_word()
            operand = self._operand()
            if operand is not None:
                operands.append(operand)
            token = self._next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in (Kind.RIGHT, Kind.CLOSE):
                self._back()
            elif token.kind is not Kind.PIPE:
                self._fail(f"unexpected {token} in operand", token)
            break
        if not operands:
            self._fail("empty command")
        return n.Command(start.offset, tuple(operands))

    def _operand(self) -> n.Operand | None:
        term = self._term()
        if term is None or self._peek().kind is not Kind.FIELD:
            return term
        first = self._peek()
        names = []
        while self._peek().kind is Kind.FIELD:
            names.append(self._next().text[1:])
        match term:
            case n.Field():
                return n.Field(first.offset, (*term.names, *names))
            case n.Variable():
                return n.Variable(first.offset, (*term.names, *names))
            case n.Boolean() | n.Text() | n.Number() | n.Nil() | n.Dot():
                self._fail(f"unexpected . after term {quote(str(term))}", first)
        return n.Chain(first.offset, term, tuple(names))

    def _term(self) -> n.Operand | None:
        token = self._peek_word()
        if token.kind in _LITERALS:
            return self._literal(self._next_word())
        match token.kind:
            case Kind.IDENTIFIER:
                return self._word(self._next_word())
            case Kind.DOT:
                return n.Dot(self._next_word().offset)
            case Kind.FIELD:
                return n.Field(token.offset, (self._next_word().text[1:],))
            case Kind.VARIABLE:
                self._known(token.text, token)
                return n.Variable(self._next_word().offset, (token.text,))
            case Kind.OPEN:
                self._next_word()
                return self._pipeline("parenthesized pipeline", Kind.CLOSE)
        return None

    def _word(self, token: Token) -> n.Operand:
        if token.text in ("true", "false"):
            return n.Boolean(token.offset, token.text == "true")
        if token.text == "nil":
            return n.Nil(token.offset)
        if token.text not in self._functions:
            self._fail(f"function {quote(token.text)} not defined", token)
        return n.Function(token.offset, token.text)

    def _literal(self, token: Token) -> n.Operand:
        match token.kind:
            case Kind.RAW_STRING:
                return n.Text(token.offset, token.text[1:-1], token.text)
            case Kind.STRING:
                return n.Text(token.offset, self._unquoted(token), token.text)
            case Kind.CHAR:
                char = self._unquoted(token)
                if len(char) != 1:
                    self._fail(f"malformed character constant: {token.text}", token)
                return n.Number(token.offset, token.text, ord(char))
            case _:
                return n.Number(token.offset, token.text, self._number(token))

    def _number(self, token: Token) -> int | float:
        try:
            octal = re.fullmatch(r"([+-]?)0([0-7]+)", token.text)
            return int(f"{octal[1]}0o{octal[2]}", 0) if octal else int(token.text, 0)
        except ValueError:
            try:
                return float(token.text)
            except ValueError:
                self._fail(f"bad number syntax: {quote(token.text)}", token)

    def _unquoted(self, token: Token) -> str:
        try:
            return str(ast.literal_eval(token.text))
        except (SyntaxError, ValueError):
            self._fail("invalid syntax", token)

    def _known(self, name: str, token: Token) -> None:
        if name not in self._scope:
            self._fail(f"undefined variable {quote(name)}", token)

    # tokens

    def _peek(self) -> Token:
        """Look at the next token; the lexer goes no further, so that its errors come in their turn."""
        while len(self._tokens) <= self._at:
            self._tokens.append(next(self._source))
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._peek()
        if token.kind is not Kind.END:
            self._at += 1
        return token

    def _back(self) -> None:
        self._at -= 1

    def _peek_word(self) -> Token:
        while self._peek().kind is Kind.SPACE:
            self._at += 1
        return self._peek()

    def _next_word(self) -> Token:
        self._peek_word()
        return self._next()

    def _fail(self, message: str, token: Token | None = None) -> NoReturn:
        line = (token or self._tokens[min(self._at, len(self._tokens) - 1)]).line
        raise ParseError(f"template: :{line}: {message}")
