"""Go's text/template as far as Docker's `--format` uses it.

`Template(text).execute(data)`: data are JSON values, or `Struct` for what has methods or a fixed set of fields.
Lexer, parser, nodes and evaluator follow the grammar of Go's text/template and text/template/parse; the texts of
errors are theirs, since users meet them in Docker.
"""

from __future__ import annotations

from volfuse.core.gotemplate.errors import ExecutionError, ParseError, TemplateError
from volfuse.core.gotemplate.template import Template
from volfuse.core.gotemplate.values import EMPTY_LIST, EMPTY_MAP, MISSING, Object, Record, Struct, TextMap, marshal

__all__ = [
    "EMPTY_LIST",
    "EMPTY_MAP",
    "MISSING",
    "ExecutionError",
    "Object",
    "ParseError",
    "Record",
    "Struct",
    "Template",
    "TemplateError",
    "TextMap",
    "marshal",
]
