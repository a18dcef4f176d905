"""What can be wrong with a template."""

from __future__ import annotations

from volfuse.errors import InvalidSpec

__all__ = ["CallError", "ExecutionError", "ParseError", "TemplateError"]


class TemplateError(InvalidSpec):
    """A template is not valid, or does not fit the data; the text is Go's."""


class ParseError(TemplateError):
    """The text is no template."""


class ExecutionError(TemplateError):
    """The template does not fit the data."""


class CallError(Exception):
    """A function refused its arguments; the evaluator says where."""
